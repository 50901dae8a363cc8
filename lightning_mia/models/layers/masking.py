"""Random span masks: which frames a model has to guess."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class SpanMask:
    """The law of a family's masks, the same in training and in the probe.

    Args:
        probability: spans × length / frames; spans may overlap, so that somewhat fewer frames are masked.
        length: frames of one span.
    """

    probability: float
    length: int

    def __post_init__(self) -> None:
        """Refuse what is no law."""
        if not 0 < self.probability <= 1:
            raise InputError(f"Expected mask_probability in (0, 1], but got {self.probability}")
        if self.length < 1:
            raise InputError(f"Expected mask_length of at least 1 frame, but got {self.length}")


def span_masks(frame_lengths: Tensor, law: SpanMask, noise: Tensor) -> Tensor:
    """Draw one mask an utterance, each with at least one masked and one unmasked frame.

    The number of spans is probability × frames / length, rounded at random to one of its neighbours, and at
    least 1. They start at different frames, evenly drawn. In a clip shorter than two spans, a span shrinks to
    half of the clip. Where the spans would cover everything, only one of them stays.

    Args:
        frame_lengths: (batch,) integers, frames of each utterance, at least 2.
        law: probability and length of the spans.
        noise: (batch, frames + 1) uniform draws from [0, 1), the only randomness; an utterance's mask depends
            on its own length and its own row of noise alone.

    Returns:
        (batch, frames) bool, True = masked; False beyond an utterance's end.
    """
    frames = frame_lengths.unsqueeze(1)  # (batch, 1)
    spans = (frames // 2).clamp(max=law.length)  # (batch, 1) frames of a span
    n_spans = (law.probability * frames / spans + noise[:, :1]).floor().clamp(min=1)
    time = torch.arange(noise.shape[1] - 1, device=noise.device)
    too_late = time > frames - spans  # (batch, frames)
    rank = noise[:, 1:].masked_fill(too_late, 2.0).argsort(dim=1).argsort(dim=1)  # the lowest noise starts a span

    all_spans = _cover((rank < n_spans) & ~too_late, spans)
    one_span = _cover(rank == 0, spans)
    covers_everything = all_spans.sum(dim=1, keepdim=True) == frames
    return torch.where(covers_everything, one_span, all_spans)


def _cover(starts: Tensor, spans: Tensor) -> Tensor:
    """Starts of spans (batch, frames) bool, their frames (batch, 1) → frames inside (batch, frames) bool."""
    started = starts.long().cumsum(dim=1)  # spans that have started by this frame
    before = torch.arange(starts.shape[1], device=starts.device) - spans  # (batch, frames)
    ended = started.gather(1, before.clamp(min=0)).masked_fill(before < 0, 0)
    return started > ended


def span_mask(n_frames: int, law: SpanMask, rng: np.random.Generator) -> np.ndarray:
    """Draw the mask of one utterance by the law of `span_masks`.

    >>> mask = span_mask(100, SpanMask(probability=0.15, length=7), np.random.default_rng(0))
    >>> mask.shape, mask.dtype, int(mask.sum())
    ((100,), dtype('bool'), 14)
    """
    if n_frames < 2:
        raise ValueError(f"Expected at least 2 frames to mask some and leave some, but got {n_frames}")
    noise = torch.from_numpy(rng.random((1, n_frames + 1)))
    return span_masks(torch.tensor([n_frames]), law, noise)[0].numpy()
