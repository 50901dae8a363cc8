import numpy as np
import pytest
import torch

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.signals.inputs.augmentations import (
    BandStop,
    Gain,
    Mixed,
    Reversed,
    TimeCrop,
    TimeShift,
    View,
    WhiteNoise,
    apply_view,
    reverse_frames,
)

VIEWS = (WhiteNoise(), Gain(), TimeCrop(), TimeShift(), BandStop(), Reversed(), Mixed())
every_view = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)


@pytest.fixture
def waveform() -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(12_345)).astype(np.float32)


def seen(view: View, waveform: np.ndarray, seed: int = 1) -> np.ndarray:
    return view(waveform, np.random.default_rng(seed))


def power(x: np.ndarray) -> float:
    return float(np.square(x, dtype=np.float64).mean())


@pytest.mark.parametrize("snr", [0.0, 20.0])
def test_noise_has_the_given_ratio(waveform: np.ndarray, snr: float) -> None:
    noise = seen(WhiteNoise(snr), waveform) - waveform
    assert 10 * np.log10(power(waveform) / power(noise)) == pytest.approx(snr, abs=0.2)
    assert abs(np.corrcoef(noise, waveform)[0, 1]) < 0.04


def test_gain_is_audible_and_bounded(waveform: np.ndarray) -> None:
    changes = [10 * np.log10(power(seen(Gain(6.0), waveform, seed)) / power(waveform)) for seed in range(40)]
    assert all(2.99 < abs(change) < 6.01 for change in changes) and min(changes) < 0 < max(changes)


@pytest.mark.parametrize(
    ("samples", "kept", "expected"), [(12_345, 0.8, 9_920), (2_000, 0.1, 1_600), (1_600, 0.5, 1_600)]
)
def test_a_crop_is_a_stretch_of_the_recording(samples: int, kept: float, expected: int) -> None:
    waveform = np.arange(samples, dtype=np.float32)
    crops = [seen(TimeCrop(kept), waveform, seed) for seed in range(20)]
    assert all((np.diff(crop) == 1).all() and len(crop) == expected for crop in crops)
    assert samples == expected or len({crop[0] for crop in crops}) > 10


def test_a_shift_is_shorter_than_a_hop(waveform: np.ndarray) -> None:
    for seed in range(10):
        shifts = [s for s in range(1, 160) if np.array_equal(seen(TimeShift(), waveform, seed), np.roll(waveform, s))]
        assert len(shifts) == 1 and 40 <= shifts[0] <= 120


@pytest.mark.parametrize("samples", [12_345, 1_600])
def test_a_band_is_removed_and_the_others_stay(samples: int) -> None:
    waveform = (0.1 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)
    for seed in range(10):
        before = np.abs(np.fft.rfft(waveform))
        ratio = np.abs(np.fft.rfft(seen(BandStop(1.0), waveform, seed))) / before
        frequencies = np.fft.rfftfreq(samples, 1 / 16_000)
        out = frequencies[ratio < 1e-3]
        assert out[0] >= 150 and out[-1] <= 6_000 and 0.7 < np.log2(out[-1] / out[0]) <= 1.0
        np.testing.assert_allclose(ratio[(frequencies < out[0]) | (frequencies > out[-1])], 1, atol=1e-3)


def test_samples_are_reversed(waveform: np.ndarray) -> None:
    assert np.array_equal(seen(Reversed(), waveform), waveform[::-1])


def test_mixed_views_differ_from_each_other(waveform: np.ndarray) -> None:
    first, second = seen(Mixed(), waveform, 1), seen(Mixed(), waveform, 2)
    assert len(first) != len(second)
    assert all(0.6 * len(waveform) - 80 <= len(view) <= len(waveform) for view in (first, second))


@every_view
def test_views_depend_on_the_utterance_the_draw_and_the_seed_alone(view: View) -> None:
    rng = np.random.default_rng(0)
    waveforms, lengths = torch.zeros(3, 5_000), torch.tensor([1_600, 5_000, 3_217])
    for row, length in zip(waveforms, lengths.tolist(), strict=True):
        row[:length] = torch.from_numpy(rng.standard_normal(length).astype(np.float32))
    batch = Batch(["a", "b", "c"], waveforms, lengths, ("x", "y", "z"))
    together = apply_view(batch, view, 3, seed=7)
    assert together.ids == batch.ids and together.texts == batch.texts
    assert (together.lengths == lengths).all() or not view.keeps_time
    for i, length in enumerate(lengths.tolist()):
        alone = apply_view(Batch([batch.ids[i]], waveforms[i : i + 1, :length], lengths[i : i + 1]), view, 3, seed=7)
        assert alone.lengths[0] == together.lengths[i] >= 1_600
        assert torch.equal(alone.waveforms[0], together.waveforms[i, : alone.lengths[0]])
        assert not together.waveforms[i, alone.lengths[0] :].any()
    if not isinstance(view, Reversed):
        assert not torch.equal(apply_view(batch, view, 4, 7).waveforms, together.waveforms)
        assert not torch.equal(apply_view(batch, view, 3, 8).waveforms, together.waveforms)


@every_view
def test_digital_silence_and_the_shortest_clip(view: View) -> None:
    made = seen(view, np.zeros(1_600, np.float32))
    assert made.dtype == np.float32 and made.shape == (1_600,) and not made.any()


def test_frames_are_reversed_within_their_utterance() -> None:
    hidden = torch.tensor([[1.0, 2.0, 3.0, 9.0], [1.0, 2.0, 3.0, 4.0]]).unsqueeze(2)
    turned = reverse_frames(hidden, torch.tensor([3, 4])).squeeze(2)
    assert turned[0, :3].tolist() == [3, 2, 1] and turned[1].tolist() == [4, 3, 2, 1]


def test_the_original_recordings_are_not_modified(waveform: np.ndarray) -> None:
    copy = waveform.copy()
    for view in VIEWS:
        seen(view, waveform)
        assert np.array_equal(waveform, copy)
