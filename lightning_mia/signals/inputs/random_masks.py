"""The questions: masks and noise that depend on the utterance and the draw alone: every model is asked the same."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lightning_mia.models.layers.masking import SpanMask, span_mask


def draw_masks(ids: Sequence[str], frames: Sequence[int], law: SpanMask | None, draw: int, seed: int) -> Tensor:
    """One mask for every utterance of a batch.

    Args:
        ids: utterances.
        frames: frames of each utterance.
        law: how the model's training masks are drawn; None: nothing is masked.
        draw: number of the mask, 0, 1, ….
        seed: of the probe.

    Returns:
        `(batch, max(frames))` bool, False on padding. A row depends on its utterance's id and number of
        frames, on `draw` and on `seed`, and on nothing else: not on the batch, not on the model.
    """
    masks = torch.zeros(len(ids), max(frames), dtype=torch.bool)
    if law is None:
        return masks
    for row, utterance, n_frames in zip(masks, ids, frames, strict=True):
        row[:n_frames] = torch.from_numpy(span_mask(n_frames, law, generator_of(utterance, draw, seed)))
    return masks


def draw_noise(ids: Sequence[str], frames: Sequence[int], dim: int, draw: int, seed: int) -> Tensor:
    """Uniform noise for every frame of a batch, from which a model draws its negatives.

    Args:
        ids: utterances.
        frames: frames of each utterance.
        dim: numbers a frame.
        draw: as in `draw_masks`.
        seed: as in `draw_masks`.

    Returns:
        `(batch, max(frames), dim)` float32 in [0, 1), 0 on padding; a row depends on what a mask depends on.
    """
    noise = torch.zeros(len(ids), max(frames), dim)
    if dim:
        for row, utterance, n_frames in zip(noise, ids, frames, strict=True):
            generator = generator_of(utterance, draw, seed, "noise/")
            row[:n_frames] = torch.from_numpy(generator.random((n_frames, dim), dtype=np.float32))
    return noise


def generator_of(utterance: str, draw: int, seed: int, purpose: str = "") -> np.random.Generator:
    """Random numbers that depend on the utterance's id, the draw, the seed and what they are for, and on nothing else.

    Args:
        utterance: its id.
        draw: number of the draw, 0, 1, ….
        seed: of the probe.
        purpose: such as "noise/", so that two uses do not share numbers.
    """
    digest = hashlib.sha256(f"{purpose}{seed}/{draw}/{utterance}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
