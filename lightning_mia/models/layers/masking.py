"""Random span masks over frames."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class SpanMask:
    """Span-mask distribution, shared by training and probing.

    Args:
        probability: spans × length / frames; spans may overlap, so that somewhat fewer frames are masked.
        length: frames per span.

    Example:
        >>> masks = draw_span_masks(torch.tensor([100]), SpanMask(0.15, 7), torch.rand(1, 101))
        >>> masks.shape, bool(masks.any())
        (torch.Size([1, 100]), True)
    """

    probability: float
    length: int

    def __post_init__(self) -> None:
        """Validate the settings."""
        if not 0 < self.probability <= 1:
            raise InputError(f"Expected mask_probability in (0, 1], but got {self.probability}")
        if self.length < 1:
            raise InputError(f"Expected mask_length of at least 1 frame, but got {self.length}")


def draw_span_masks(frame_lengths: Tensor, distribution: SpanMask, noise: Tensor) -> Tensor:
    """Draw one mask per utterance.

    It has at least one masked and one unmasked frame. The number of spans is probability × frames / length, rounded at
    random up or down, and at least 1. They start at different frames, uniformly drawn. In an utterance shorter than
    two spans, a span shrinks to half of it. If the spans would cover the whole utterance, only one of them is kept.

    Args:
        frame_lengths: (batch,) integers, frames of each utterance, at least 2.
        distribution: probability and length of the spans.
        noise: (batch, frames + 1) uniform draws from [0, 1), the only randomness; an utterance's mask depends on its
            length and its row of noise alone.

    Returns:
        (batch, frames) bool, True = masked; False beyond an utterance's end.
    """
    frames = frame_lengths.unsqueeze(1)  # (batch, 1)
    spans = (frames // 2).clamp(max=distribution.length)  # (batch, 1) frames of a span
    n_spans = (distribution.probability * frames / spans + noise[:, :1]).floor().clamp(min=1)
    time = torch.arange(noise.shape[1] - 1, device=noise.device)
    too_late = time > frames - spans  # (batch, frames)
    rank = (
        noise[:, 1:].masked_fill(too_late, 2.0).argsort(dim=1).argsort(dim=1)
    )  # spans start at the frames with the lowest noise

    all_spans = _cover((rank < n_spans) & ~too_late, spans)
    one_span = _cover(rank == 0, spans)
    covers_everything = all_spans.sum(dim=1, keepdim=True) == frames
    return torch.where(covers_everything, one_span, all_spans)


def draw_span_mask(n_frames: int, distribution: SpanMask, rng: np.random.Generator) -> np.ndarray:
    """Draw the mask of one utterance, see `draw_span_masks`.

    Example:
        >>> mask = draw_span_mask(100, SpanMask(probability=0.15, length=7), np.random.default_rng(0))
        >>> mask.shape, mask.dtype, int(mask.sum())
        ((100,), dtype('bool'), 14)
    """
    if n_frames < 2:
        raise ValueError(f"Expected at least 2 frames, but got {n_frames}")
    noise = torch.from_numpy(rng.random((1, n_frames + 1)))
    return draw_span_masks(torch.tensor([n_frames]), distribution, noise)[0].numpy()


def _cover(starts: Tensor, spans: Tensor) -> Tensor:
    """Mark the frames inside spans.

    Span starts (batch, frames) bool, span lengths (batch, 1) → (batch, frames) bool.
    """
    started = starts.long().cumsum(dim=1)  # spans that have started by this frame
    before = torch.arange(starts.shape[1], device=starts.device) - spans  # (batch, frames)
    ended = started.gather(1, before.clamp(min=0)).masked_fill(before < 0, 0)
    return started > ended
