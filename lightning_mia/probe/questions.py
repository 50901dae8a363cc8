"""The questions: masks that depend on the utterance and the draw alone, so that every model is asked the same."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lightning_mia.models.masking import SpanMask, span_mask


def draw_masks(ids: Sequence[str], frames: Sequence[int], law: SpanMask, draw: int, seed: int) -> Tensor:
    """One mask for every utterance of a batch.

    Args:
        ids: utterances.
        frames: frames of each utterance.
        law: how the model's training masks are drawn.
        draw: number of the mask, 0, 1, ….
        seed: of the probe.

    Returns:
        `(batch, max(frames))` bool, False on padding. A row depends on its utterance's id and number of
        frames, on `draw` and on `seed`, and on nothing else: not on the batch, not on the model.
    """
    masks = torch.zeros(len(ids), max(frames), dtype=torch.bool)
    for row, utterance, n_frames in zip(masks, ids, frames, strict=True):
        row[:n_frames] = torch.from_numpy(span_mask(n_frames, law, _generator(utterance, draw, seed)))
    return masks


def _generator(utterance: str, draw: int, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}/{draw}/{utterance}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
