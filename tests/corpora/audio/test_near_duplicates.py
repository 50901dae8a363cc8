"""Copies are found whatever was done to them; other readings are not."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.signal import butter, resample_poly, sosfilt

from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import decode
from lightning_mia.corpora.audio.near_duplicates import near_duplicates

RATE = 16_000


def babble(seed: int, seconds: float = 1.5) -> np.ndarray:
    """Noise in three bands whose levels change every 80 ms, (samples,): as varied as speech."""
    rng = np.random.default_rng(seed)
    n_samples = int(seconds * RATE)
    waveform = np.zeros(n_samples)
    for low, high in ((300, 700), (700, 1500), (1500, 3200)):
        noise = sosfilt(butter(2, (low, high), "band", fs=RATE, output="sos"), rng.standard_normal(n_samples))
        levels = rng.lognormal(0, 1, n_samples // 1280 + 2)
        waveform += noise * np.interp(np.arange(n_samples) / 1280, np.arange(len(levels)), levels)
    return 0.3 * waveform / np.abs(waveform).max()


def coded(waveform: np.ndarray, file_format: str, subtype: str) -> np.ndarray:
    file = io.BytesIO()
    soundfile.write(file, waveform, RATE, format=file_format, subtype=subtype)
    file.seek(0)
    return soundfile.read(file)[0]


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "quieter": lambda waveform: 0.3 * waveform,
    "rounded to 9 bits": lambda waveform: np.round(waveform * 256) / 256,
    "inverted": lambda waveform: -waveform,
    "37 samples later": lambda waveform: np.pad(waveform, (37, 0)),
    "0.3 s cut off": lambda waveform: waveform[4800:],
    "MP3": lambda waveform: coded(waveform, "MP3", "MPEG_LAYER_III"),
    "Vorbis": lambda waveform: coded(waveform, "OGG", "VORBIS"),
    "8 kHz": lambda waveform: resample_poly(resample_poly(waveform, 1, 2), 2, 1),
    "quieter, later, MP3": lambda waveform: coded(np.pad(0.5 * waveform, (555, 0)), "MP3", "MPEG_LAYER_III"),
}


def write(folder: Path, waveforms: dict[str, np.ndarray]) -> pd.DataFrame:
    for name, waveform in waveforms.items():
        soundfile.write(folder / f"{name}.wav", waveform, RATE)
    return pd.DataFrame({"id": list(waveforms), "path": [str(folder / f"{name}.wav") for name in waveforms]})


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_is_found_among_others(tmp_path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    first = {f"a{i}": babble(i) for i in range(6)}
    second = {f"b{i}": babble(100 + i) for i in range(6)} | {"copy": change(first["a2"])}
    audio = decode(write(tmp_path, first | second), cache_dir=tmp_path, progress=False)
    assert near_duplicates(audio, list(first), list(second), progress=False) == [("a2", "copy")]
    assert near_duplicates(audio, list(second), list(first), progress=False) == [("copy", "a2")]


def test_recordings_without_common_audio_are_not_copies(tmp_path: Path) -> None:
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    rng = np.random.default_rng(0)
    waveforms = {
        "tone": tone + 0.001 * rng.standard_normal(RATE),
        "same tone": tone + 0.001 * rng.standard_normal(RATE),
        "short": babble(0, 0.2),
        "too short to tell": babble(0, 0.2)[37:],
        "click": np.eye(1, RATE, 800)[0],
        "other click": 0.5 * np.eye(1, RATE, 900)[0],
    }
    audio = decode(write(tmp_path, waveforms), cache_dir=tmp_path, progress=False)
    assert near_duplicates(audio, list(waveforms)[::2], list(waveforms)[1::2], progress=False) == []
    assert near_duplicates(audio, [], list(waveforms), progress=False) == []


def test_half_of_the_shorter_recording_must_be_shared(tmp_path: Path) -> None:
    whole = babble(0, 3)
    waveforms = {
        "whole": whole,
        "two of three seconds": np.concatenate([babble(1, 1), whole[: 2 * RATE]]),
        "one of three seconds": np.concatenate([babble(2, 2), whole[:RATE]]),
        "excerpt": whole[RATE : 2 * RATE],
    }
    audio = decode(write(tmp_path, waveforms), cache_dir=tmp_path, progress=False)
    found = near_duplicates(audio, ["whole"], list(waveforms)[1:], progress=False)
    assert found == [("whole", "excerpt"), ("whole", "two of three seconds")]


@pytest.mark.slow
def test_repetitions_of_a_keyword_by_one_speaker_are_not_copies(real_manifest: Path, tmp_path: Path) -> None:
    table = Manifest(str(real_manifest)).table()
    table = table[table["speaker"].isin(sorted(table["speaker"].unique())[5:8])].reset_index(drop=True)
    audio = decode(table, progress=False)
    repetition = table.groupby(["speaker", "text"]).cumcount()
    found = near_duplicates(audio, list(table["id"][repetition < 2]), list(table["id"][repetition >= 2]), False)
    # This pair is in the published corpus: the same samples, 56 later.
    assert found == [("00000007/options-01", "00000007/options-03")]
