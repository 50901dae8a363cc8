from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.layers.masking import SpanMask
from lightning_mia.signals.inputs.random_masks import draw_masks
from lightning_mia.signals.pretext_by_mask import PretextDetails, third
from lightning_mia.utilities.errors import InputError

Speech = Callable[..., Batch]


def runs(mask: np.ndarray) -> list[int]:
    """Lengths of the runs of hidden frames."""
    edges = np.flatnonzero(np.diff(np.pad(mask.astype(int), 1)))
    return (edges[1::2] - edges[::2]).tolist()


def measure_with_masks(group: PretextDetails, model: SpeechModel, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
    """Columns, and masks (kinds, draws, batch, frames) of the queries."""
    recorded = []
    score = model.pretext_score

    def listen(
        waveforms: torch.Tensor, lengths: torch.Tensor, masks: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        recorded.append(masks)
        return score(waveforms, lengths, masks, noise)

    model.pretext_score = listen  # type: ignore[method-assign]
    try:
        with torch.inference_mode():
            signals = group.measure(model, batch).scalars
    finally:
        model.pretext_score = score  # type: ignore[method-assign]
    return signals, recorded[0].unflatten(0, (5, group.n_masks))


def test_masks_stay_in_their_third_and_columns_are_means(speech: Speech, tera: SpeechModel) -> None:
    group, batch = PretextDetails(n_masks=3), speech(0.3, 2.0)
    signals, masks = measure_with_masks(group, tera, batch)
    assert [name.removeprefix("pretext_details_") for name in signals] == [
        "early",
        "middle",
        "late",
        "short_spans",
        "long_spans",
    ]
    frames = tera.frame_lengths(batch.lengths).tolist()
    for part in range(3):
        for row, n_frames in enumerate(frames):
            places = masks[part, :, row].nonzero()[:, 1]
            start, end = third(n_frames, part)
            assert start <= places.min() and places.max() < end
            assert masks[part, :, row].any(dim=1).all() and (masks[part, :, row].sum(dim=1) < end - start).all()
    assert {length for mask in masks[3, :, 1] for length in runs(mask.numpy()) if length < 6} == {3}  # 7 in training
    assert all(length >= 14 for mask in masks[4, :, 1] for length in runs(mask.numpy()))
    with torch.inference_mode():
        for kind, values in enumerate(signals.values()):
            slow = [tera.pretext_score(batch.waveforms, batch.lengths, mask) for mask in masks[kind]]
            torch.testing.assert_close(values, torch.stack(slow).mean(dim=0))


def test_stretched_spans_are_drawn_like_all_masks(speech: Speech, tera: SpeechModel) -> None:
    batch = speech(0.5)
    _, masks = measure_with_masks(PretextDetails(n_masks=2, seed=4), tera, batch)
    frames = tera.frame_lengths(batch.lengths).tolist()
    for draw in range(2):
        assert torch.equal(masks[4, draw], draw_masks(batch.ids, frames, SpanMask(0.15, 14), draw, seed=4))


@pytest.mark.parametrize("n_frames", range(2, 12))
def test_thirds_cover_every_frame_and_are_never_empty(n_frames: int) -> None:
    thirds = [third(n_frames, part) for part in range(3)]
    assert all(0 <= start < end <= n_frames for start, end in thirds)
    assert sorted({frame for start, end in thirds for frame in range(start, end)}) == list(range(n_frames))


def test_no_masks_are_refused() -> None:
    with pytest.raises(InputError, match=r"PretextDetails\.n_masks is 0"):
        PretextDetails(n_masks=0)
