"""Tell the quantised latent of a masked frame from those of other masked frames (Baevski et al. 2020, §3.2).

Everything here works on plain tensors, whatever encoder they come from.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.layers.quantizer import Quantised
from lightning_mia.models.objectives.log_odds import log_odds_of_mean
from lightning_mia.models.outputs import Pretext

TEMPERATURE = 0.1  # of the cosine similarities, κ in equation 3


def draw_negatives(masks: Tensor, lengths: Tensor, noise: Tensor) -> Tensor:
    """Draw, for every masked frame, other masked frames of the same utterance, evenly and with replacement.

    Where an utterance has one masked frame only, its other frames are drawn from, masked or not.

    Args:
        masks: (batch, frames) bool, True = masked.
        lengths: (batch,) int64, real frames, at least 2.
        noise: (batch, frames, n_negatives) float32 in [0, 1), the only randomness; the draws for a frame depend on
            its own row of noise and its own utterance's mask alone, not on padding or the rest of the batch.

    Returns:
        (batch, frames, n_negatives) int64, frames of the same utterance; without meaning for frames not masked.

    >>> masks = torch.tensor([[False, True, False, True, True]])
    >>> noise = torch.tensor([0.0, 0.4, 0.6]).expand(1, 5, 3)
    >>> draw_negatives(masks, torch.tensor([5]), noise)[0, 3].tolist()
    [1, 1, 4]
    """
    real = ~padding_mask(lengths, masks.shape[1])
    alone = masks.sum(dim=1, keepdim=True) < 2
    candidates = torch.where(alone, real, masks)  # (batch, frames)
    places = candidates.byte().argsort(dim=1, descending=True, stable=True)  # the candidates in order, then the others
    ranks = candidates.cumsum(dim=1).unsqueeze(2) - 1  # (batch, frames, 1), of a candidate among them
    n_others = candidates.sum(dim=1).view(-1, 1, 1) - 1
    draws = torch.minimum((noise * n_others).long(), n_others - 1)  # float32 could round up to n_others
    draws = draws + (draws >= ranks)  # a frame is no negative of its own
    return places.gather(1, draws.flatten(1)).view_as(draws)


def contrastive_logits(predictions: Tensor, targets: Tensor, negatives: Tensor, codes: Tensor | None = None) -> Tensor:
    """Cosines of every frame's prediction with its true target and with its negatives, over the temperature.

    All pairs of an utterance's frames are compared by one matrix product, and the drawn ones picked from it: many
    times less memory than a copy of the target for every negative.

    Args:
        predictions: (batch, frames, dim).
        targets: (batch, frames, dim).
        negatives: (batch, frames, n_negatives) int64, see `draw_negatives`.
        codes: (batch, frames, codebooks) int64, what the targets are made of: a negative with the same codes is the
            true target and gets −∞. None: it keeps its logit, which is the true target's.

    Returns:
        (batch, frames, 1 + n_negatives) float32, under autocast too; the true target comes first.
    """
    with torch.autocast(predictions.device.type, enabled=False):
        predictions, targets = (F.normalize(x.float(), dim=2) for x in (predictions, targets))
        true = (predictions * targets).sum(dim=2, keepdim=True)
        others = (predictions @ targets.transpose(1, 2)).gather(2, negatives)
    if codes is not None:
        numbers = code_ids(codes)
        drawn = numbers.gather(1, negatives.flatten(1)).view_as(negatives)
        others = others.masked_fill(drawn == numbers.unsqueeze(2), -torch.inf)
    return torch.cat([true, others], dim=2) / TEMPERATURE


def code_ids(codes: Tensor) -> Tensor:
    """(batch, frames, codebooks) int64 → (batch, frames) int64, another number for every combination of codes."""
    base, numbers = codes.max() + 1, codes[:, :, 0]
    for codebook in range(1, codes.shape[2]):
        numbers = numbers * base + codes[:, :, codebook]
    return numbers


def contrastive_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy of the true targets (equation 3), mean over the masked frames of all processes.

    With several processes it is divided by their mean number of masked frames, so that the mean of the processes'
    gradients, which is what they take, is the gradient of the mean over all masked frames.

    Args:
        logits: as from `contrastive_logits`.
        masks: (batch, frames) bool.
    """
    losses = logits.logsumexp(dim=2) - logits[:, :, 0]  # (batch, frames)
    return (losses * masks).sum() / _mean_over_processes(masks.sum())


def _mean_over_processes(count: Tensor) -> Tensor:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return count
    torch.distributed.all_reduce(count)
    return count / torch.distributed.get_world_size()


def perplexity(usage: Tensor, masks: Tensor) -> Tensor:
    """Codes in use: exp of the entropy of their mean probability over the masked frames, summed over the codebooks.

    Args:
        usage: (batch, frames, codebooks, codes) float32, probabilities, or ones and zeros.
        masks: (batch, frames) bool.

    Returns:
        () float32, from the number of codebooks (each uses one code) to the number of all codes.
    """
    mean = (usage * masks[:, :, None, None]).sum(dim=(0, 1)) / masks.sum()  # (codebooks, codes)
    return torch.special.entr(mean).sum(dim=1).exp().sum()


def contrastive_accuracy(logits: Tensor, masks: Tensor) -> Tensor:
    """Share of the masked frames whose true target beats all negatives; one whose negatives all equal it is missed.

    Args:
        logits: as from `contrastive_logits`.
        masks: (batch, frames) bool.
    """
    best = logits[:, :, 1:].amax(dim=2)
    hits = (logits[:, :, 0] > best) & (best > -torch.inf)
    return (hits & masks).sum() / masks.sum()


def contrastive_chance(codes: Tensor, masks: Tensor, n_negatives: int) -> Tensor:
    """Accuracy of guessing: one over the different targets that a masked frame can be confronted with.

    These are the combinations of codes on its utterance's masked frames, and at most n_negatives + 1: in a short
    clip, or with few codes in use, guessing is easier than 1 / (n_negatives + 1).

    Args:
        codes: (batch, frames, codebooks) int64.
        masks: (batch, frames) bool.
        n_negatives: negatives of a frame.
    """
    ordered = code_ids(codes).masked_fill(~masks, -1).sort(dim=1).values  # frames that are not masked come first
    changes = (ordered[:, 1:] != ordered[:, :-1]).sum(dim=1)
    n_different = changes + masks.all(dim=1)  # without a −1 in front, the first code is no change
    chance = 1 / n_different.clamp(min=1, max=n_negatives + 1)  # (batch,)
    return (chance * masks.sum(dim=1)).sum() / masks.sum()


def contrastive_pretext(
    predictions: Tensor,
    targets: Tensor,
    quantised: Quantised,
    masks: Tensor,
    negatives: Tensor,
    diversity_weight: float,
) -> Pretext:
    """The contrastive loss plus the weighted diversity loss (equations 2 to 4), with its health figures.

    The diversity loss is 1 − perplexity / codes, as in the paper's code, of the probabilities without Gumbel noise.

    Args:
        predictions: (batch, frames, dim), what the encoder makes of the masked input.
        targets: (batch, frames, dim), the quantised latents in the same space.
        quantised: the quantised latents as they are.
        masks: (batch, frames) bool.
        negatives: (batch, frames, n_negatives) int64, see `draw_negatives`.
        diversity_weight: of the diversity loss (published: 0.1).
    """
    logits = contrastive_logits(predictions, targets, negatives, quantised.codes)
    loss = contrastive_loss(logits, masks)
    probabilities = quantised.probabilities
    n_codes = probabilities.shape[2] * probabilities.shape[3]
    diversity_loss = 1 - perplexity(probabilities, masks) / n_codes
    with torch.no_grad():
        chosen = F.one_hot(probabilities.argmax(dim=3), probabilities.shape[3]).float()
        health = {
            "contrastive_loss": loss.detach(),
            "contrastive_accuracy": contrastive_accuracy(logits, masks),
            "contrastive_chance": contrastive_chance(quantised.codes, masks, negatives.shape[2]),
            "code_perplexity": perplexity(chosen, masks),
        }
    return Pretext(loss + diversity_weight * diversity_loss, health)


def contrastive_score(predictions: Tensor, targets: Tensor, masks: Tensor, negatives: Tensor) -> Tensor:
    """Log-odds of the geometric mean probability of the true target over the masked frames.

    A negative of the same codes stays in, unlike in training: it takes its share of the probability, so that a frame
    that cannot be told from any negative counts as guessed, and the log-odds stay finite.

    Args:
        predictions: (batch, frames, dim).
        targets: (batch, frames, dim), of the most probable codes.
        masks: (batch, frames) bool, at least one frame of every utterance.
        negatives: (batch, frames, n_negatives) int64, see `draw_negatives`.

    Returns:
        (batch,) float64.
    """
    logits = contrastive_logits(predictions, targets, negatives)
    return log_odds_of_mean(logits, torch.zeros_like(masks, dtype=torch.long), masks)


def contrastive_collapse(health: dict[str, float], n_codebooks: int, codebook_size: int) -> str:
    """Say by the health figures of a training's end what has collapsed; empty: nothing has.

    Without a loss that keeps the codes in use, the shortest way to a low contrastive loss is one code for everything.
    With a handful of codes accuracy is high, and says little.

    Args:
        health: figures of `contrastive_pretext`.
        n_codebooks: codebooks.
        codebook_size: codes of each.
    """
    accuracy, chance = health["contrastive_accuracy"], health["contrastive_chance"]
    used = health["code_perplexity"] / n_codebooks
    if used < max(1.5, 0.05 * codebook_size):
        return (
            f"its codebooks have collapsed: about {used:.1f} of {codebook_size} codes are in use, so that there is "
            "little to tell apart; raise --model.diversity_weight or lower --model.learning_rate"
        )
    if accuracy < 1.2 * chance:
        return f"it does not tell masked frames apart: accuracy {accuracy:.3f}, where guessing gives {chance:.3f}"
    return ""
