import numpy as np
import pytest

from lightning_mia.splits.blind_baseline.fine_statistics import faint_traces

RATE = 16_000
N = 2 * RATE
TIME = np.arange(N) / RATE


def quantised(waveform: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.float32) / np.float32(32768)


def speech(seed: int = 0, noise: float = 2e-4) -> np.ndarray:
    """Voiced pulses at the beginning, in noise, (samples,)."""
    rng = np.random.default_rng(seed)
    pulses = np.where(np.arange(N) % 131 < 3, -0.4, 0.01) * (TIME < 0.8)
    return pulses * (1 + 0.1 * rng.standard_normal(N)) + noise * rng.standard_normal(N)


def measure(waveform: np.ndarray) -> dict[str, float]:
    return faint_traces(quantised(waveform))


def test_a_faint_tone_is_a_tall_line() -> None:
    tone = 1e-4 * np.sqrt(2) * np.sin(2 * np.pi * 3150 * TIME)  # −80 dBFS
    clean, altered = measure(speech()), measure(speech() + tone)
    assert altered["tallest_line_2000_4000hz_db"] > clean["tallest_line_2000_4000hz_db"] + 10
    assert altered["tallest_line_6000_7950hz_db"] == pytest.approx(clean["tallest_line_6000_7950hz_db"], abs=1)


@pytest.mark.parametrize("mains", [50, 60])
def test_hum_is_found_at_the_frequency_of_the_mains(mains: int) -> None:
    hum = 10 ** (-70 / 20) * sum(np.sin(2 * np.pi * mains * k * TIME) / k for k in range(1, 6))
    clean, altered = measure(speech()), measure(speech() + hum)
    assert altered[f"line_{mains}hz_db"] > clean[f"line_{mains}hz_db"] + 6
    assert altered[f"lines_{mains}hz_db"] > altered[f"lines_{110 - mains}hz_db"] + 3


def test_polarity_changes_the_sign_of_the_skewness() -> None:
    clean, altered = measure(speech()), measure(-speech())
    for name in ("skewness", "skewness_of_steps", "skewness_of_residual"):
        assert altered[name] == pytest.approx(-clean[name], rel=0.01)
    assert clean["skewness"] < -1


def test_dither_fills_the_gaps_between_codes() -> None:
    coarse = np.rint(speech(noise=1e-3) * 32768 / 4) * 4 / 32768  # quantised to 14 bits
    dithered = coarse + np.random.default_rng(1).triangular(-1, 0, 1, N) / 32768
    clean, altered = measure(coarse), measure(dithered)
    assert clean["unused_low_codes"] > 0.7 > 0.35 > altered["unused_low_codes"]
    assert clean["roughness_of_codes"] > altered["roughness_of_codes"]
    assert clean["equal_neighbours"] > altered["equal_neighbours"]


def test_codes_used_at_random_are_as_rough_as_chance() -> None:
    noise = 0.002 * np.random.default_rng(0).standard_normal(40 * RATE)
    assert measure(noise)["roughness_of_codes"] == pytest.approx(np.log(2), abs=0.15)


def test_a_shelf_shows_in_the_quiet_spectrum() -> None:
    from scipy.signal import fftconvolve, firwin2

    shelf = fftconvolve(speech(), firwin2(129, [0, 0.19, 0.38, 1], 10 ** (np.array([0, 0, 1, 1]) / 20)), mode="same")
    clean, altered = measure(speech()), measure(shelf)
    difference = {name: altered[name] - clean[name] for name in clean if name.startswith("quiet_")}
    assert difference["quiet_5000_6000hz_db"] - difference["quiet_500_1000hz_db"] == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("n", [1600, 4095, 4096, 4097])
def test_short_recordings(n: int) -> None:
    assert np.isfinite(list(measure(speech()[:n]).values())).all()
