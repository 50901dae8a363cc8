from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import welch

from lightning_mia.corpora.synthetic.acoustics import (
    SAMPLE_RATE,
    Acoustics,
    add_room,
    coloured_noise,
    draw_acoustics,
    record,
    resample,
    trim,
)

SOURCE_RATE = 22_050
DRY = Acoustics(lead=0.1, tail=0.2, rt60=0.2, direct_to_reverberant=60.0, noise_slope=1.0, snr=60.0, level=-26.0)


def speech_like(seconds: float) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 3000, round(seconds * SOURCE_RATE)).astype(np.int16)


def rms_db(samples: np.ndarray) -> float:
    return 20 * np.log10(np.sqrt(np.mean((samples / 32768.0) ** 2)))


@pytest.mark.parametrize("rt60", [0.2, 0.5])
def test_reverberation_falls_by_60_db_in_rt60(rt60: float) -> None:
    impulse = np.zeros(SAMPLE_RATE)
    impulse[0] = 1.0
    response = add_room(impulse, replace(DRY, rt60=rt60, direct_to_reverberant=0.0), np.random.default_rng(2))
    energy_left = np.cumsum(response[:0:-1] ** 2)[::-1]  # Schroeder's backward integration, direct sound left out
    decibels = 10 * np.log10(energy_left / energy_left[0] + 1e-12)
    start, end = (int(np.argmax(decibels < level)) for level in (-5, -25))
    assert 3 * (end - start) / SAMPLE_RATE == pytest.approx(rt60, rel=0.1)


def test_direct_to_reverberant_ratio() -> None:
    impulse = np.zeros(SAMPLE_RATE)
    impulse[0] = 1.0
    response = add_room(impulse, replace(DRY, direct_to_reverberant=7.0), np.random.default_rng(2))
    assert 10 * np.log10(response[0] ** 2 / np.sum(response[1:] ** 2)) == pytest.approx(7.0)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("n_samples", [64_000, 64_001])
def test_colour_of_the_noise(slope: float, n_samples: int) -> None:
    noise = coloured_noise(n_samples, slope, np.random.default_rng(3))
    assert noise.shape == (n_samples,)
    assert np.mean(noise**2) == pytest.approx(1.0)
    hertz, power = welch(noise, SAMPLE_RATE, nperseg=1024)
    middle = (hertz > 100) & (hertz < 6000)
    fitted = np.polyfit(np.log10(hertz[middle]), np.log10(power[middle]), 1)[0]
    assert fitted == pytest.approx(-slope, abs=0.1)


def test_signal_to_noise_ratio_and_level() -> None:
    quiet = replace(DRY, lead=0.5, tail=0.5, snr=20.0)
    recording = record(speech_like(1.0), SOURCE_RATE, quiet, np.random.default_rng(4))
    speech, background = recording[8000:-8000], recording[:7000]
    assert rms_db(speech) == pytest.approx(quiet.level, abs=0.2)
    assert rms_db(speech) - rms_db(background) == pytest.approx(quiet.snr, abs=1.5)


def test_duration_is_speech_with_lead_and_tail() -> None:
    recording = record(speech_like(1.0), SOURCE_RATE, DRY, np.random.default_rng(5))
    assert recording.dtype == np.int16
    assert len(recording) / SAMPLE_RATE == pytest.approx(1.3, abs=0.01)


def test_loud_recordings_are_attenuated_not_clipped() -> None:
    recording = record(speech_like(1.0), SOURCE_RATE, replace(DRY, level=-3.0), np.random.default_rng(6))
    assert np.abs(recording.astype(int)).max() == round(0.95 * 32767)


def test_trim_leaves_no_silence() -> None:
    silence = np.full(5000, 2.0)
    speech = speech_like(0.1).astype(float)
    trimmed = trim(np.concatenate([silence, speech, silence]))
    assert len(speech) - 50 < len(trimmed) <= len(speech)


def test_resampling_keeps_a_tone_and_removes_frequencies_above_8_khz() -> None:
    time = np.arange(SOURCE_RATE) / SOURCE_RATE
    kept = resample(np.sin(2 * np.pi * 1000 * time), SOURCE_RATE)
    expected = np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    np.testing.assert_allclose(kept[200:-200], expected[200:-200], atol=2e-3)
    assert np.abs(resample(np.sin(2 * np.pi * 9500 * time), SOURCE_RATE)[200:-200]).max() < 0.01


def test_drawn_acoustics_vary_and_follow_the_generator() -> None:
    rng = np.random.default_rng(7)
    drawn = [draw_acoustics(rng) for _ in range(200)]
    assert len({acoustics.rt60 for acoustics in drawn}) == 200
    assert draw_acoustics(np.random.default_rng(7)) == drawn[0]
