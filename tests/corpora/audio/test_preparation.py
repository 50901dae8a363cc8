"""Tests of limits: stated and longest durations, clipping."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from lightning_mia.corpora.audio.preparation import prepare_audio
from lightning_mia.utilities.errors import InputError


@pytest.fixture
def table(tmp_path: Path, speech: np.ndarray) -> pd.DataFrame:
    for name, n_samples in {"long": 48_000, "short": 16_000}.items():
        sf.write(tmp_path / f"{name}.wav", speech[:n_samples], 16_000)
    paths = [str(tmp_path / f"{name}.wav") for name in ("long", "short")]
    return pd.DataFrame({"id": ["long", "short"], "path": paths, "text": ["one", "two"]})


def prepare(table: pd.DataFrame, tmp_path: Path, **options):
    return prepare_audio(table, cache_dir=tmp_path / "cache", progress=False, **options)


def test_stated_durations_are_compared_with_the_audio(table, tmp_path):
    prepare(table.assign(duration=[3.09, np.nan]), tmp_path)
    wrong = table.assign(duration=[3000.0, 1.0])  # one in milliseconds
    with pytest.raises(InputError, match=r"1 of 2 .*long.wav: 3.000 s long, but 3000.000 s are stated"):
        prepare(wrong, tmp_path)
    audio, _ = prepare(wrong, tmp_path, on_bad_audio="skip")
    assert audio.skipped["id"].tolist() == ["long"]


def test_long_recordings_are_refused_or_cropped(table, tmp_path):
    with pytest.raises(InputError, match=r"long.wav: 3.0 s long, longer than max_seconds \(2\)"):
        prepare(table, tmp_path, max_seconds=2)
    audio, notes = prepare(table, tmp_path, max_seconds=2, on_long_audio="crop")
    whole, no_notes = prepare(table, tmp_path)
    assert audio.index.index.tolist() == ["long", "short"]
    assert audio.index["duration"].tolist() == [2.0, 1.0]
    assert audio.texts == {"short": "two"}  # the other no longer matches its audio
    np.testing.assert_array_equal(audio.waveform("long"), whole.waveform("long")[:32_000])
    np.testing.assert_array_equal(audio.waveform("short"), whole.waveform("short"))
    assert (notes, no_notes) == (("1 recordings were longer and were cropped to 2 s.",), ())


def test_clipping_is_counted_and_noted(table, tmp_path, speech):
    loud = speech[:16_000] * 0.1
    loud[[5, 7, 9]] = [1.5, -1.5, 1.0]
    sf.write(tmp_path / "loud.wav", loud, 16_000, subtype="FLOAT")
    rows = pd.DataFrame({"id": ["loud"], "path": [str(tmp_path / "loud.wav")], "text": [""]})
    audio, notes = prepare(pd.concat([table, rows]), tmp_path)
    assert audio.index["n_clipped"].tolist() == [0, 0, 2]
    assert notes == ("2 samples of 1 recordings exceed full scale and were clipped (most: 2 in loud).",)
