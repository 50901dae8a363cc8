from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from lightning_mia.corpora.loading.batch import Batch, collate
from lightning_mia.models.layers.features import LogMel
from lightning_mia.signals.surrogate.fillings import (
    Filling,
    ShapedNoise,
    Silence,
    SteadyTone,
    fit_powers,
    hidden_samples,
    hide,
    mean_spectrum,
)
from lightning_mia.signals.surrogate.spans import hidden_spans

Speech = Callable[..., Batch]
ALL = [SteadyTone(), ShapedNoise(), Silence()]


def by_name(filling: Filling) -> str:
    return filling.name


def middle(batch: Batch) -> torch.Tensor:
    """Hides frames of 10 ms from 20 to 49."""
    masks = torch.zeros(len(batch.ids), (batch.waveforms.shape[1] - 400) // 160 + 1, dtype=torch.bool)
    masks[:, 20:50] = True
    return masks


@pytest.mark.parametrize("filling", ALL, ids=by_name)
def test_only_hidden_samples_change(filling: Filling, speech: Speech) -> None:
    batch = speech(0.9, 0.6)
    filled = hide(batch, middle(batch), 160, 400, filling, 0, 0)
    first, last = 20 * 160, 49 * 160 + 400
    assert torch.equal(filled[:, :first], batch.waveforms[:, :first])
    assert torch.equal(filled[:, last:], batch.waveforms[:, last:])
    assert not torch.isclose(filled[0, first:last], batch.waveforms[0, first:last]).all()
    assert not filled[1, batch.lengths[1] :].any()


@pytest.mark.parametrize("filling", ALL, ids=by_name)
def test_hidden_samples_leave_no_trace(filling: Filling, speech: Speech) -> None:
    """Whatever stood in the spans, the filled recording is the same."""
    batch = speech(0.9)
    other = batch._replace(waveforms=batch.waveforms.clone())
    other.waveforms[:, 20 * 160 : 49 * 160 + 400] = 0.5
    assert torch.equal(*(hide(recordings, middle(batch), 160, 400, filling, 0, 0) for recordings in (batch, other)))


@pytest.mark.parametrize("filling", ALL, ids=by_name)
def test_neighbours_and_padding_change_nothing(filling: Filling, speech: Speech) -> None:
    batch = speech(0.9, 0.6, 0.1)
    masks = hidden_spans(batch.ids, LogMel.frame_lengths(batch.lengths).tolist(), 7, 2, 0, 0)
    together = hide(batch, masks, 160, 400, filling, 1, 0)
    for row, (name, length) in enumerate(zip(batch.ids, batch.lengths.tolist(), strict=True)):
        alone = collate([(name, batch.waveforms[row, :length].numpy(), "")])
        mask = masks[row : row + 1, : LogMel.frame_lengths(torch.tensor(length))]
        torch.testing.assert_close(
            hide(alone, mask, 160, 400, filling, 1, 0)[0], together[row, :length], rtol=1e-5, atol=1e-7
        )


@pytest.mark.parametrize("period", [160, 320])
def test_a_steady_tone_repeats_the_mean_frame(period: int, speech: Speech) -> None:
    batch = speech(1.0, 1.0)
    masks = middle(batch)
    hidden = hidden_samples(masks, 160, 400, batch.waveforms.shape[1])
    target = mean_spectrum(batch.waveforms, batch.lengths, hidden)
    frames = LogMel(80)(hide(batch, masks, 160, 400, SteadyTone(period), 0, 0))[:, 20:50]
    step = period // 160
    torch.testing.assert_close(frames[:, step:], frames[:, :-step], rtol=0, atol=2e-3)  # identical, at every period
    spread = LogMel(80)(batch.waveforms).std(dim=1)
    away = ((frames - target.unsqueeze(1)) / spread.unsqueeze(1))[..., 10:]  # 100 Hz apart is too coarse for the lowest
    assert away.square().mean().sqrt() < 0.15


def test_shaped_noise_has_the_mean_spectrum_on_average(speech: Speech) -> None:
    batch = speech(1.0)
    masks = middle(batch)
    hidden = hidden_samples(masks, 160, 400, batch.waveforms.shape[1])
    target = mean_spectrum(batch.waveforms, batch.lengths, hidden)[0]
    power = torch.stack(
        [LogMel(80)(hide(batch, masks, 160, 400, ShapedNoise(), draw, 0))[0, 20:50].exp() for draw in range(20)]
    )
    away = power.mean(dim=(0, 1)).log() - target
    assert away[10:].abs().mean() < 0.3 and away[10:].mean().abs() < 0.15


def test_noise_changes_with_the_draw_and_a_tone_does_not(speech: Speech) -> None:
    batch = speech(1.0)

    def pair(filling: Filling) -> list[torch.Tensor]:
        return [hide(batch, middle(batch), 160, 400, filling, draw, 0) for draw in (0, 1)]

    assert torch.equal(*pair(SteadyTone())) and not torch.equal(*pair(ShapedNoise()))


def test_gain_is_in_decibels(speech: Speech) -> None:
    batch = speech(1.0)
    inside = slice(20 * 160, 49 * 160 + 400)
    for filling in (SteadyTone, ShapedNoise):
        soft, loud = (hide(batch, middle(batch), 160, 400, filling(gain=gain), 0, 0)[0, inside] for gain in (0.0, 6.0))
        torch.testing.assert_close(loud, soft * 10 ** (6 / 20), rtol=5e-2, atol=1e-4)


def test_powers_are_fitted_as_well_as_by_a_general_optimiser() -> None:
    rng = np.random.default_rng(0)
    basis, truth = rng.random((5, 12)) ** 4, rng.random((3, 5)) + 0.1
    spectrum = np.log(truth @ basis * np.exp(0.3 * rng.standard_normal((3, 12))))

    def distance(powers: np.ndarray, row: int) -> float:
        ratio = np.exp(spectrum[row]) / (powers @ basis + 1e-8)
        return float((ratio - np.log(ratio) - 1).sum())

    powers = fit_powers(torch.from_numpy(spectrum), torch.from_numpy(basis)).numpy()
    for row in range(3):
        best = minimize(lambda x, row=row: distance(np.exp(x), row), np.zeros(5)).fun
        assert distance(powers[row], row) < best + 0.1 * abs(best)


def test_hidden_samples_are_those_of_hidden_frames() -> None:
    rng = np.random.default_rng(0)
    masks = torch.from_numpy(rng.random((4, 20)) < 0.2)
    slow = torch.zeros(4, 21 * 5, dtype=torch.bool)
    for row, frame in masks.nonzero().tolist():
        slow[row, frame * 5 : frame * 5 + 13] = True
    assert torch.equal(hidden_samples(masks, 5, 13, 21 * 5), slow)


def test_a_completely_hidden_recording_keeps_its_spectrum(speech: Speech) -> None:
    batch = speech(0.5)
    everything = torch.ones_like(batch.waveforms, dtype=torch.bool)
    mean = LogMel(80)(batch.waveforms).mean(dim=1)
    torch.testing.assert_close(mean_spectrum(batch.waveforms, batch.lengths, everything), mean)


@pytest.mark.parametrize("n_frames", [2, 3, 4, 8, 20, 98])
@pytest.mark.parametrize("every", [2, 3, 5])
def test_every_frame_is_hidden_once_per_round(n_frames: int, every: int) -> None:
    for first in (0, every):
        masks = [hidden_spans(["a"], [n_frames], 7, every, first + draw, 0)[0] for draw in range(every)]
        assert torch.stack(masks).sum(dim=0).tolist() == [1] * n_frames
        if n_frames >= every:
            assert all(0 < mask.sum() < n_frames for mask in masks)


def test_spans_have_the_given_length() -> None:
    mask = hidden_spans(["a"], [98], 7, 3, 0, 0)[0].int()
    runs = "".join(map(str, mask.tolist())).split("0")
    assert {len(run) for run in runs if run} - {7} <= {len(runs[0]), len(runs[-1])}


def test_spans_depend_on_the_utterance_and_the_round() -> None:
    def of(name: str, draw: int, frames: tuple[int, ...] = (98,)) -> list[bool]:
        return hidden_spans([name] * len(frames), list(frames), 7, 3, draw, 0)[0, :98].tolist()

    assert of("a", 0) == of("a", 0, (98, 120))
    assert len({tuple(of(name, draw)) for name in "abcd" for draw in (0, 3, 6)}) > 8
