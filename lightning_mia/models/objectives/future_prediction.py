"""Prediction of future frames among negatives, the task of CPC."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.objectives.log_odds import log_odds, log_probability
from lightning_mia.models.outputs import Encoded, Pretext

Negatives = Literal["utterance", "batch"]
Predictors = Iterable[Callable[[Tensor], Tensor]]
"""For each step ahead, contexts (batch, frames, dim) → predicted latents."""


def similarities(
    predictors: Predictors, encoded: Encoded, candidates: Tensor, scale: float
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Compare predictions with candidates, for each step ahead.

    Args:
        predictors: one per step; fewer are used in a shorter utterance.
        encoded: latents, the first hidden states, and contexts, the last ones.
        candidates: (batch, n, dim), the latents first.
        scale: divisor of the logits.

    Yields:
        Logits of the true frames (batch, frames − step) and of all candidates (batch, frames − step, n), float32, and a
        mask of real frames (batch, frames − step) bool; row i is the prediction of frame `step` + i.
    """
    contexts, candidates = encoded.hidden[-1], candidates.float().transpose(1, 2)
    n_frames = contexts.shape[1]
    for step, predictor in zip(range(1, n_frames), predictors, strict=False):
        predictions = predictor(contexts)[:, :-step]
        with torch.autocast(predictions.device.type, enabled=False):
            logits = predictions.float() @ candidates / scale
        real = ~padding_mask(encoded.lengths - step, n_frames - step)
        yield logits.diagonal(step, dim1=1, dim2=2), logits, real


def prediction_score(predictors: Predictors, encoded: Encoded, noise: Tensor, scale: float) -> Tensor:
    """Compute the log-odds of the true frames' geometric mean probability.

    The mean is over all frames and steps ahead. Negatives are other frames of the same utterance; a frame's row of
    noise determines its negatives, the same for all steps.

    Args:
        predictors: see `similarities`.
        encoded: see `similarities`.
        noise: (…, batch, frames, negatives) float32 in [0, 1).
        scale: see `similarities`.

    Returns:
        (…, batch) float64.
    """
    draws = draw_other_frames(noise.reshape(-1, *noise.shape[-3:]), encoded.lengths)
    log_p = torch.zeros(draws.shape[:2], dtype=torch.float64, device=draws.device)  # (draws, batch)
    n_predictions = torch.zeros_like(log_p[0])
    for step, (true, logits, real) in enumerate(similarities(predictors, encoded, encoded.hidden[0], scale), start=1):
        n_predictions += real.sum(dim=1)
        for draw, negatives in enumerate(draws):
            others = logits.gather(2, negatives[:, step:])
            log_p[draw] += (log_probability(true, others) * real).sum(dim=1)
    return log_odds(log_p / n_predictions).view(noise.shape[:-2])


def prediction_loss(
    predictors: Predictors, encoded: Encoded, n_negatives: int, scale: float, negatives: Negatives = "utterance"
) -> Pretext:
    """Compute the InfoNCE loss, mean over frames and steps ahead.

    Args:
        predictors: see `similarities`.
        encoded: see `similarities`.
        n_negatives: negatives per frame.
        scale: see `similarities`.
        negatives: their source: the same utterance, or all utterances of the batch.
    """
    latents = encoded.hidden[0]
    if negatives == "batch":
        candidates, drawn = draw_batch_negatives(latents, encoded.lengths, n_negatives)
    else:
        # Drawn frame by frame, so that padding at the end does not change the draws before it.
        noise = torch.rand(latents.shape[1], len(latents), n_negatives, device=latents.device).transpose(0, 1)
        candidates, drawn = latents, draw_other_frames(noise, encoded.lengths)
    loss, hits, n_predictions = 3 * [torch.zeros((), device=latents.device)]
    for step, (true, logits, real) in enumerate(similarities(predictors, encoded, candidates, scale), start=1):
        others = logits.gather(2, drawn[:, step:])  # (batch, frames − step, n_negatives)
        loss = loss + (F.softplus(others.logsumexp(dim=2) - true) * real).sum()
        hits = hits + ((true > others.amax(dim=2)) & real).sum()  # a tie is a miss
        n_predictions = n_predictions + real.sum()
    n_others = (encoded.lengths if negatives == "utterance" else encoded.lengths.sum()) - 1.0
    health = {
        "contrastive_accuracy": hits / n_predictions,
        "contrastive_chance": prediction_chance(n_others, n_negatives),
        "loss_over_chance": (loss / n_predictions).detach() / math.log(1 + n_negatives),
        "frame_variation": frame_variation(latents.detach().float(), encoded.lengths),
    }
    return Pretext(loss / n_predictions, health)


def prediction_chance(n_others: Tensor, n_negatives: int) -> Tensor:
    """Compute the accuracy of guessing.

    It is one over the expected number of distinct frames among the true frame and its negatives.

    Args:
        n_others: (batch,) or () frames that negatives are drawn from.
        n_negatives: negatives per frame.
    """
    return (1 / (1 + n_others * (1 - (1 - 1 / n_others) ** n_negatives))).mean()


def prediction_collapse(health: dict[str, float]) -> str:
    """Describe constant frames or a loss at chance, if any."""
    if health["frame_variation"] < 1e-3:
        return f"CPC's frames are constant (variation {health['frame_variation']:.1e} of their energy)"
    if not health["loss_over_chance"] < 0.98:  # true for NaN as well
        share = f"{health['loss_over_chance']:.2f}"
        return f"CPC has learned nothing: its loss is {share} of chance, log(1 + n_negatives)"
    return ""


def draw_windows(waveforms: Tensor, lengths: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Draw an excerpt of every utterance, from torch's global generator.

    Args:
        waveforms: (batch, samples), zero-padded.
        lengths: (batch,) int64, real samples.
        window: longest excerpt (samples).

    Returns:
        (batch, at most `window`) and (batch,) int64.
    """
    size = min(window, waveforms.shape[1])
    latest = (lengths - size).clamp(min=0)
    start = torch.minimum((torch.rand(len(lengths), device=lengths.device) * (latest + 1)).long(), latest)
    samples = start.unsqueeze(1) + torch.arange(size, device=lengths.device)
    return waveforms.gather(1, samples), lengths.clamp(max=size)


def draw_other_frames(noise: Tensor, lengths: Tensor) -> Tensor:
    """Draw other real frames, uniformly and with replacement.

    Args:
        noise: (…, batch, frames, n) float32 in [0, 1), the only randomness.
        lengths: (batch,) int64, real frames, at least 2.

    Returns:
        (…, batch, frames, n) int64; undefined for frames beyond an utterance's end.

    Example:
        >>> draw_other_frames(torch.tensor([0.0, 0.4, 0.99]).expand(1, 4, 3), torch.tensor([4]))[0].tolist()
        [[1, 2, 3], [2, 3, 0], [3, 0, 1], [0, 1, 2]]
    """
    lengths = lengths.view(-1, 1, 1)
    ahead = torch.minimum((noise * (lengths - 1)).long(), lengths - 2)  # float32 could round up
    time = torch.arange(noise.shape[-2], device=noise.device).unsqueeze(1)
    return (time + 1 + ahead) % lengths


def draw_batch_negatives(latents: Tensor, lengths: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Draw n negatives per utterance from all utterances.

    All frames of an utterance share them. If a frame is its own negative, the next frame of its utterance replaces it.

    Args:
        latents: (batch, frames, dim).
        lengths: (batch,) int64, real frames, at least 2.
        n: negatives.

    Returns:
        Candidates (batch, frames + n, dim), the latents first, and the indices of every frame's negatives among them,
        (batch, frames, n) int64.
    """
    n_frames, ends = latents.shape[1], lengths.cumsum(dim=0)
    index = (torch.rand(len(lengths), n, device=latents.device) * ends[-1]).long()
    index = torch.minimum(index, ends[-1] - 1)  # among the concatenated real frames of all utterances
    utterance = torch.searchsorted(ends, index, right=True)
    frame = index - (ends - lengths)[utterance]
    time = torch.arange(n_frames, device=latents.device)
    same = utterance == torch.arange(len(lengths), device=latents.device).unsqueeze(1)  # (batch, n)
    itself = same.unsqueeze(1) & (frame.unsqueeze(1) == time.unsqueeze(1))  # (batch, frames, n)
    after = ((time + 1) % lengths.unsqueeze(1)).unsqueeze(2)  # (batch, frames, 1)
    drawn = n_frames + torch.arange(n, device=latents.device)
    return torch.cat([latents, latents[utterance, frame]], dim=1), torch.where(itself, after, drawn)


def frame_variation(latents: Tensor, lengths: Tensor) -> Tensor:
    """Compute the share of energy outside the mean frame.

    0 means constant frames.

    Args:
        latents: (batch, frames, dim).
        lengths: (batch,) int64, real frames.
    """
    real = ~padding_mask(lengths, latents.shape[1]).unsqueeze(2)
    mean = (latents * real).sum(dim=1, keepdim=True) / lengths.view(-1, 1, 1)
    return ((latents - mean) * real).square().sum() / (latents * real).square().sum().clamp(min=1e-12)
