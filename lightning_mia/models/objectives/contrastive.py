"""Contrastive loss of wav2vec 2.0 (Baevski et al. 2020, §3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.layers.quantizer import Quantised
from lightning_mia.models.objectives.log_odds import log_odds_of_mean
from lightning_mia.models.outputs import Pretext

TEMPERATURE = 0.1  # of the cosine similarities, κ in equation 3


def contrastive_pretext(
    predictions: Tensor,
    targets: Tensor,
    quantised: Quantised,
    masks: Tensor,
    negatives: Tensor,
    diversity_weight: float,
) -> Pretext:
    """Compute contrastive and diversity loss (equations 2 to 4).

    The diversity loss is 1 − perplexity / codes, as in the paper's code, of the probabilities without Gumbel noise.

    Args:
        predictions: (batch, frames, dim), projected hidden states of the masked input.
        targets: (batch, frames, dim), projected quantised latents.
        quantised: quantised latents.
        masks: (batch, frames) bool.
        negatives: (batch, frames, n_negatives) int64, see `draw_negatives`.
        diversity_weight: weight of the diversity loss (published: 0.1).
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
    """Compute the log-odds of the true target's mean probability.

    The mean is geometric, over the masked frames. Unlike in training, a negative with the same codes is kept: it takes
    its share of the probability, so that a frame whose negatives all equal its target counts as a guess, and the
    log-odds stay finite.

    Args:
        predictions: (batch, frames, dim).
        targets: (batch, frames, dim), of the most probable codes.
        masks: (batch, frames) bool, at least one frame per utterance.
        negatives: (batch, frames, n_negatives) int64, see `draw_negatives`.

    Returns:
        (batch,) float64.
    """
    logits = contrastive_logits(predictions, targets, negatives)
    return log_odds_of_mean(logits, torch.zeros_like(masks, dtype=torch.long), masks)


def contrastive_collapse(health: dict[str, float], n_codebooks: int, codebook_size: int) -> str:
    """Describe a collapse of codebooks or predictions, if any.

    Without a loss that keeps codes in use, the easiest way to a low contrastive loss is one code for everything. With a
    handful of codes, accuracy is high but uninformative.

    Args:
        health: health metrics of `contrastive_pretext`.
        n_codebooks: codebooks.
        codebook_size: codes per codebook.
    """
    accuracy, chance = health["contrastive_accuracy"], health["contrastive_chance"]
    used = health["code_perplexity"] / n_codebooks
    if used < max(1.5, 0.05 * codebook_size):
        return (
            f"its codebooks have collapsed: about {used:.1f} of {codebook_size} codes are in use; "
            "raise --model.diversity_weight or lower --model.learning_rate"
        )
    if accuracy < 1.2 * chance:
        return f"it does not discriminate masked frames: accuracy {accuracy:.3f}, chance {chance:.3f}"
    return ""


def draw_negatives(masks: Tensor, lengths: Tensor, noise: Tensor) -> Tensor:
    """Draw negatives from the utterance's other masked frames.

    The draws are uniform and with replacement. If an utterance has only one masked frame, all its other frames are
    candidates.

    Args:
        masks: (batch, frames) bool, True = masked.
        lengths: (batch,) int64, real frames, at least 2.
        noise: (batch, frames, n_negatives) float32 in [0, 1), the only randomness; the draws for a frame depend on
            its row of noise and its utterance's mask alone, not on padding or the rest of the batch.

    Returns:
        (batch, frames, n_negatives) int64, frame indices; undefined for frames that are not masked.

    Example:
        >>> masks = torch.tensor([[False, True, False, True, True]])
        >>> noise = torch.tensor([0.0, 0.4, 0.6]).expand(1, 5, 3)
        >>> draw_negatives(masks, torch.tensor([5]), noise)[0, 3].tolist()
        [1, 1, 4]
    """
    real = ~padding_mask(lengths, masks.shape[1])
    single = masks.sum(dim=1, keepdim=True) < 2
    candidates = torch.where(single, real, masks)  # (batch, frames)
    frames = candidates.byte().argsort(dim=1, descending=True, stable=True)  # the candidates in order, then the others
    ranks = candidates.cumsum(dim=1).unsqueeze(2) - 1  # (batch, frames, 1), rank of a candidate among them
    n_others = candidates.sum(dim=1).view(-1, 1, 1) - 1
    draws = torch.minimum((noise * n_others).long(), n_others - 1)  # float32 could round up to n_others
    draws = draws + (draws >= ranks)  # skips the frame itself
    return frames.gather(1, draws.flatten(1)).view_as(draws)


def contrastive_logits(predictions: Tensor, targets: Tensor, negatives: Tensor, codes: Tensor | None = None) -> Tensor:
    """Compute cosine logits of true targets and negatives.

    One matrix product compares all pairs of an utterance's frames, and the drawn ones are gathered from it, which
    takes far less memory than a copy of the target for every negative.

    Args:
        predictions: (batch, frames, dim).
        targets: (batch, frames, dim).
        negatives: (batch, frames, n_negatives) int64, see `draw_negatives`.
        codes: (batch, frames, codebooks) int64, codes of the targets: a negative with the same codes equals the true
            target and gets −∞. None: it keeps its logit, which is that of the true target.

    Returns:
        (batch, frames, 1 + n_negatives) float32, under autocast too; the true target comes first.
    """
    with torch.autocast(predictions.device.type, enabled=False):
        predictions, targets = (F.normalize(x.float(), dim=2) for x in (predictions, targets))
        true = (predictions * targets).sum(dim=2, keepdim=True)
        others = (predictions @ targets.transpose(1, 2)).gather(2, negatives)
    if codes is not None:
        ids = code_ids(codes)
        drawn = ids.gather(1, negatives.flatten(1)).view_as(negatives)
        others = others.masked_fill(drawn == ids.unsqueeze(2), -torch.inf)
    return torch.cat([true, others], dim=2) / TEMPERATURE


def code_ids(codes: Tensor) -> Tensor:
    """Number the combinations of codes.

    (batch, frames, codebooks) int64 → (batch, frames) int64.
    """
    base, ids = codes.max() + 1, codes[:, :, 0]
    for codebook in range(1, codes.shape[2]):
        ids = ids * base + codes[:, :, codebook]
    return ids


def contrastive_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Compute the contrastive loss (equation 3).

    It is the mean over the masked frames of all processes. With several processes the sum is divided by their mean
    number of masked frames, so that the mean of their gradients, which DDP takes, is the gradient of the mean over all
    masked frames.

    Args:
        logits: see `contrastive_logits`.
        masks: (batch, frames) bool.
    """
    losses = logits.logsumexp(dim=2) - logits[:, :, 0]  # (batch, frames)
    return (losses * masks).sum() / _mean_over_processes(masks.sum())


def perplexity(usage: Tensor, masks: Tensor) -> Tensor:
    """Compute the effective number of codes in use.

    It is exp(entropy) of the mean usage over the masked frames, summed over the codebooks.

    Args:
        usage: (batch, frames, codebooks, codes) float32, probabilities, or ones and zeros.
        masks: (batch, frames) bool.

    Returns:
        () float32, from the number of codebooks (each uses one code) to the number of all codes.
    """
    mean = (usage * masks[:, :, None, None]).sum(dim=(0, 1)) / masks.sum()  # (codebooks, codes)
    return torch.special.entr(mean).sum(dim=1).exp().sum()


def contrastive_accuracy(logits: Tensor, masks: Tensor) -> Tensor:
    """Compute the accuracy over masked frames.

    A frame whose negatives all equal its true target counts as missed.

    Args:
        logits: see `contrastive_logits`.
        masks: (batch, frames) bool.
    """
    best = logits[:, :, 1:].amax(dim=2)
    hits = (logits[:, :, 0] > best) & (best > -torch.inf)
    return (hits & masks).sum() / masks.sum()


def contrastive_chance(codes: Tensor, masks: Tensor, n_negatives: int) -> Tensor:
    """Compute the accuracy of guessing.

    It is one over the number of distinct targets. These are the combinations of codes on an utterance's masked frames,
    at most n_negatives + 1: in a short utterance, or with few codes in use, guessing is easier than
    1 / (n_negatives + 1).

    Args:
        codes: (batch, frames, codebooks) int64.
        masks: (batch, frames) bool.
        n_negatives: negatives per frame.
    """
    ordered = code_ids(codes).masked_fill(~masks, -1).sort(dim=1).values  # unmasked frames come first
    changes = (ordered[:, 1:] != ordered[:, :-1]).sum(dim=1)
    n_distinct = changes + masks.all(dim=1)  # without a leading −1, the first code is not counted as a change
    chance = 1 / n_distinct.clamp(min=1, max=n_negatives + 1)  # (batch,)
    return (chance * masks.sum(dim=1)).sum() / masks.sum()


def _mean_over_processes(count: Tensor) -> Tensor:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return count
    torch.distributed.all_reduce(count)
    return count / torch.distributed.get_world_size()
