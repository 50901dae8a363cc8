import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from lightning_mia.corpora.audio.cache import decode
from lightning_mia.splits.blind_baseline.statistics import blind_statistics, waveform_statistics

RATE = 16_000


def quantised(waveform: np.ndarray) -> np.ndarray:
    """Round to float32 multiples of 2⁻¹⁵, like the audio cache."""
    return np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.float32) / 32768


def words(seed: int = 0, seconds: float = 1.0) -> np.ndarray:
    """Synthesise noise with pauses, like the envelope of speech."""
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    envelope = np.repeat(rng.random(n // 800 + 1) < 0.5, 800)[:n] * 0.1 + 0.0005
    return quantised(envelope * rng.standard_normal(n))


def through(waveform: np.ndarray, **kind: str) -> np.ndarray:
    file = io.BytesIO()
    sf.write(file, waveform, RATE, **kind)
    file.seek(0)
    return quantised(sf.read(file)[0])


@pytest.mark.parametrize("seconds", [0.1, 0.13, 1.0])
@pytest.mark.parametrize("kind", ["noise", "tone", "clipped square", "one bit", "one pulse", "constant"])
def test_every_statistic_is_finite(kind: str, seconds: float) -> None:
    time = np.arange(round(seconds * RATE)) / RATE
    rng = np.random.default_rng(0)
    waveform = {
        "noise": 0.1 * rng.standard_normal(len(time)),
        "tone": 0.5 * np.sin(2 * np.pi * 440 * time),
        "clipped square": np.where(np.sin(2 * np.pi * 100 * time) > 0, 1.0, -1.0),
        "one bit": rng.integers(-1, 2, len(time)) / 32768,
        "one pulse": (np.arange(len(time)) == 50) / 32768,
        "constant": np.full(len(time), 0.25),
    }[kind]
    statistics = waveform_statistics(quantised(waveform))
    assert np.isfinite(list(statistics.values())).all()


def test_level() -> None:
    time = np.arange(RATE) / RATE
    statistics = waveform_statistics(quantised(0.5 * np.sin(2 * np.pi * 440 * time) + 0.01))
    assert statistics["peak_dbfs"] == pytest.approx(20 * np.log10(0.51), abs=0.01)
    assert statistics["rms_dbfs"] == pytest.approx(10 * np.log10(0.125 + 0.01**2), abs=0.01)
    assert statistics["dc"] == pytest.approx(0.01, abs=1e-4)
    assert statistics["clipped_fraction"] == 0
    assert waveform_statistics(quantised(3 * np.sin(2 * np.pi * 440 * time)))["clipped_fraction"] > 0.5


def test_bit_depth_and_companding() -> None:
    waveform = words()
    original = waveform_statistics(waveform)
    assert 0.4 < original["multiple_of_2"] < 0.6
    assert waveform_statistics(through(waveform, format="WAV", subtype="PCM_U8"))["multiple_of_256"] == 1
    companded = waveform_statistics(through(waveform, format="WAV", subtype="ULAW"))
    assert companded["distinct_values"] < original["distinct_values"] - 1


def test_silence_at_the_edges() -> None:
    padded = np.concatenate([np.zeros(3200), words() + 2 / 32768, np.zeros(1600)]).astype(np.float32)
    statistics = waveform_statistics(padded)
    assert statistics["digital_silence_start_s"] == pytest.approx(0.2, abs=1e-3)
    assert statistics["digital_silence_end_s"] == pytest.approx(0.1, abs=1e-3)
    assert statistics["silence_start_s"] >= 0.16


def test_noise_lowers_the_signal_to_noise_ratio() -> None:
    noisy = quantised(words() + 0.01 * np.random.default_rng(1).standard_normal(RATE))
    assert waveform_statistics(noisy)["snr_db"] < waveform_statistics(words())["snr_db"] - 10


def test_a_low_rate_source_has_no_high_frequencies() -> None:
    from scipy.signal import butter, sosfilt

    low = quantised(sosfilt(butter(8, 3500, fs=RATE, output="sos"), words()))
    original, statistics = waveform_statistics(words()), waveform_statistics(low)
    assert original["rolloff_95_hz"] > 7000
    assert statistics["rolloff_95_hz"] < 4000
    assert statistics["above_7khz_db"] < original["above_7khz_db"] - 20


def test_reverberation_makes_sound_die_away_slowly() -> None:
    rng = np.random.default_rng(1)
    response = rng.standard_normal(6400) * np.exp(-6.9 * np.arange(6400) / RATE / 0.4) / 20
    response[0] = 1
    statistics = waveform_statistics(quantised(np.convolve(words(), response)[:RATE]))
    original = waveform_statistics(words())
    for band in ("low", "middle", "high"):
        assert statistics[f"fall_{band}_db"] < 0.8 * original[f"fall_{band}_db"]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder: Path = tmp_path_factory.mktemp("recordings")
    sf.write(folder / "a.wav", words(0), RATE, subtype="PCM_16")
    sf.write(folder / "b.flac", words(1), RATE, subtype="PCM_24")
    sf.write(folder / "c.wav", np.stack([words(2), words(3)], axis=1)[::2], RATE // 2, subtype="PCM_16")
    paths = [str(folder / name) for name in ("a.wav", "b.flac", "c.wav")]
    return pd.DataFrame({"id": ["a", "b", "c"], "path": paths, "speaker": "s"})


def test_table_of_statistics(recordings: pd.DataFrame, tmp_path: Path) -> None:
    audio = decode(recordings, cache_dir=tmp_path, progress=False)
    table = blind_statistics(audio, ["c", "a", "b"], progress=False)
    assert list(table.index) == ["c", "a", "b"]
    assert (table.dtypes == np.float64).all()
    assert np.isfinite(table.to_numpy()).all()
    assert table["duration_s"].tolist() == pytest.approx([1.0, 1.0, 1.0], abs=0.01)
    assert table["source_rate=8000"].tolist() == [1, 0, 0]
    assert table["source_channels=2"].tolist() == [1, 0, 0]
    assert table["source_format=FLAC"].tolist() == [0, 0, 1]
    assert table["source_subtype=PCM_24"].tolist() == [0, 0, 1]


def test_a_recording_is_measured_alone(recordings: pd.DataFrame, tmp_path: Path) -> None:
    audio = decode(recordings, cache_dir=tmp_path, progress=False)
    together, alone = (blind_statistics(audio, ids, progress=False) for ids in (["a", "b", "c"], ["b"]))
    pd.testing.assert_frame_equal(together.loc[["b"], alone.columns], alone, check_exact=True)
