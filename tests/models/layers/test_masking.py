import numpy as np
import pytest
import torch

from lightning_mia.models.layers.masking import SpanMask, draw_span_mask, draw_span_masks
from lightning_mia.utilities.errors import InputError

LAW = SpanMask(probability=0.8, length=10)


def slow_mask(n_frames: int, law: SpanMask, noise: np.ndarray) -> np.ndarray:
    """The law of `draw_span_masks`, frame by frame: the lowest noise starts the first span, and so on."""
    span = min(law.length, n_frames // 2)
    n_spans = max(1, int(np.floor(law.probability * n_frames / span + noise[0])))
    starts = sorted(range(n_frames - span + 1), key=lambda t: noise[1 + t])[:n_spans]
    mask = np.zeros(n_frames, dtype=bool)
    for start in starts:
        mask[start : start + span] = True
    if mask.all():
        mask[:] = False
        mask[starts[0] : starts[0] + span] = True
    return mask


@pytest.mark.parametrize("law", [LAW, SpanMask(0.15, 7), SpanMask(1.0, 3), SpanMask(0.01, 40)])
def test_each_row_follows_the_distribution_in_any_batch(law: SpanMask) -> None:
    lengths = torch.arange(2, 130)
    noise = torch.from_numpy(np.random.default_rng(0).random((len(lengths), 130)))
    masks = draw_span_masks(lengths, law, noise)
    for n_frames, row, draws in zip(lengths.tolist(), masks.numpy(), noise.numpy(), strict=True):
        assert np.array_equal(row[:n_frames], slow_mask(n_frames, law, draws))
        assert not row[n_frames:].any()
        assert row.any()
        assert not row[:n_frames].all()


def test_span_mask_equals_span_masks() -> None:
    mask = draw_span_mask(100, LAW, np.random.default_rng(3))
    assert np.array_equal(mask, slow_mask(100, LAW, np.random.default_rng(3).random(101)))


def test_share_of_masked_frames() -> None:
    rng = np.random.default_rng(0)
    single = [draw_span_mask(100, SpanMask(0.155, 1), rng).mean() for _ in range(400)]
    assert np.mean(single) == pytest.approx(0.155, abs=0.002)  # spans of one frame never overlap
    spans = [draw_span_mask(1000, LAW, rng).mean() for _ in range(50)]
    assert np.mean(spans) == pytest.approx(1 - np.exp(-0.8), abs=0.02)  # uniform starts overlap like this


def test_every_frame_is_masked_sometimes() -> None:
    rng = np.random.default_rng(0)
    assert np.mean([draw_span_mask(12, LAW, rng) for _ in range(300)], axis=0).min() > 0.05


def test_one_frame_cannot_be_masked() -> None:
    with pytest.raises(ValueError, match="at least 2 frames"):
        draw_span_mask(1, LAW, np.random.default_rng(0))


@pytest.mark.parametrize("settings", [(0.0, 10), (1.1, 10), (0.5, 0)])
def test_invalid_distributions_are_refused(settings: tuple[float, int]) -> None:
    with pytest.raises(InputError, match="mask_"):
        SpanMask(*settings)
