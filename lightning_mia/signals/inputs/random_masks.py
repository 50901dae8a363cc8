"""Random masks and noise, the same for every model.

A draw depends on the utterance's id, and not on the model or the batch.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.layers.masking import SpanMask, draw_span_mask


def draw_masks_and_noise(
    model: SpeechModel, batch: Batch, distribution: SpanMask | None, n_draws: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Draw the inputs of `SpeechModel.task_scores`, on the batch's device.

    Returns:
        Masks (draws, batch, frames) bool and noise (draws, batch, frames, noise dim) float32.
    """
    frames, device = model.frame_lengths(batch.lengths).tolist(), batch.waveforms.device
    masks = [draw_masks(batch.ids, frames, distribution, draw, seed) for draw in range(n_draws)]
    noise = [draw_noise(batch.ids, frames, model.noise_dim, draw, seed) for draw in range(n_draws)]
    return torch.stack(masks).to(device), torch.stack(noise).to(device)


def draw_masks(
    ids: Sequence[str], frames: Sequence[int], distribution: SpanMask | None, draw: int, seed: int
) -> Tensor:
    """Draw one mask for every utterance of a batch.

    Args:
        ids: utterances.
        frames: number of frames of each utterance.
        distribution: distribution of the spans, such as the model's in training; None: nothing is masked.
        draw: number of the mask, 0, 1, ….
        seed: seed of the probe.

    Returns:
        `(batch, max(frames))` bool, False on padding. A row depends on its utterance's id and number of frames, on
        `draw` and on `seed`, and on nothing else: neither on the batch nor on the model.
    """
    masks = torch.zeros(len(ids), max(frames), dtype=torch.bool)
    if distribution is None:
        return masks
    for row, utterance, n_frames in zip(masks, ids, frames, strict=True):
        row[:n_frames] = torch.from_numpy(
            draw_span_mask(n_frames, distribution, utterance_generator(utterance, draw, seed))
        )
    return masks


def draw_noise(ids: Sequence[str], frames: Sequence[int], dim: int, draw: int, seed: int) -> Tensor:
    """Draw uniform noise for every frame.

    Models use it to choose negatives.

    Args:
        ids: utterances.
        frames: number of frames of each utterance.
        dim: numbers per frame.
        draw: as in `draw_masks`.
        seed: as in `draw_masks`.

    Returns:
        `(batch, max(frames), dim)` float32 in [0, 1), 0 on padding; a row depends on the same values as a mask.
    """
    noise = torch.zeros(len(ids), max(frames), dim)
    if dim:
        for row, utterance, n_frames in zip(noise, ids, frames, strict=True):
            generator = utterance_generator(utterance, draw, seed, "noise/")
            row[:n_frames] = torch.from_numpy(generator.random((n_frames, dim), dtype=np.float32))
    return noise


def utterance_generator(utterance: str, draw: int, seed: int, purpose: str = "") -> np.random.Generator:
    """Seed a generator by utterance, draw, seed and purpose.

    Args:
        utterance: id of the utterance.
        draw: number of the draw, 0, 1, ….
        seed: seed of the probe.
        purpose: such as "noise/", so that two uses do not share numbers.

    >>> float(utterance_generator("a", 0, 0).random()) == float(utterance_generator("a", 0, 0).random())
    True
    """
    digest = hashlib.sha256(f"{purpose}{seed}/{draw}/{utterance}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
