import numpy as np
import pytest

from lightning_mia.splits.blind_baseline import short_time as frames_module
from lightning_mia.splits.blind_baseline.short_time import FFT, MEL_BANDS, _mel_filters, measure_frames

RATE = 16_000


def harmonics(pitch: float, seconds: float = 0.5) -> np.ndarray:
    """Synthesise ten harmonics of `pitch` Hz, falling with frequency."""
    time = np.arange(int(seconds * RATE)) / RATE
    return sum(0.1 / k * np.cos(2 * np.pi * pitch * k * time + k) for k in range(1, 11)).astype(np.float32)


@pytest.mark.parametrize("pitch", [70, 110, 150, 220, 330])
def test_pitch_of_a_harmonic_tone(pitch: float) -> None:
    frames = measure_frames(harmonics(pitch))
    np.testing.assert_allclose(frames.pitch, pitch, rtol=0.02)
    assert frames.periodicity.min() > 0.9


def test_noise_is_not_periodic() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert measure_frames(noise).periodicity.mean() < 0.5


def test_spectrum_adds_up_to_the_power() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)
    frames = measure_frames(noise)
    assert frames.spectrum.sum(axis=1).mean() == pytest.approx(frames.power.mean(), rel=0.02)


def test_mel_filters_against_torchaudio() -> None:
    from torchaudio.functional import melscale_fbanks

    expected = melscale_fbanks(FFT // 2 + 1, 20.0, RATE / 2, MEL_BANDS, RATE).numpy()
    np.testing.assert_allclose(_mel_filters(), expected, atol=1e-5)


def test_long_recordings_are_measured_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    waveform = harmonics(120) + 0.01 * np.random.default_rng(0).standard_normal(RATE // 2).astype(np.float32)
    complete = measure_frames(waveform)
    monkeypatch.setattr(frames_module, "FRAMES_PER_BLOCK", 7)
    blocks = measure_frames(waveform)
    for name in vars(complete):
        np.testing.assert_allclose(getattr(blocks, name), getattr(complete, name), rtol=1e-3, atol=1e-6)


def test_a_recording_shorter_than_a_frame_has_one() -> None:
    assert len(measure_frames(np.ones(100, np.float32)).power) == 1
