"""Tests of cropping."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.audio.cropping import crop_recordings, silent_crops

LENGTHS = {"a": 3200, "b": 5000, "c": 1700, "d": 8000}
IDS = ["d", "a", "b"]  # of at least 3200 samples


@pytest.fixture
def audio(tmp_path: Path) -> AudioCache:
    noise = np.random.default_rng(0)
    for name, n in LENGTHS.items():
        sf.write(tmp_path / f"{name}.flac", noise.integers(-9999, 9999, n).astype(np.int16), 16_000)
    paths = [str(tmp_path / f"{name}.flac") for name in LENGTHS]
    table = pd.DataFrame({"id": list(LENGTHS), "path": paths, "text": ["one", "two", "", "four"]})
    return decode(table, cache_dir=tmp_path / "cache", progress=False)


def test_the_start_is_kept(audio: AudioCache) -> None:
    cropped = crop_recordings(audio, IDS, 3200, progress=False)
    assert cropped.index.index.tolist() == IDS
    assert cropped.index["n_samples"].tolist() == [3200] * 3
    assert cropped.index["duration"].tolist() == [0.2] * 3
    assert cropped.index["source_format"].tolist() == ["FLAC"] * 3
    for name in IDS:
        np.testing.assert_array_equal(cropped.waveform(name), audio.waveform(name)[:3200])
        pcm = (cropped.waveform(name) * 32768).astype("<i2").tobytes()
        assert cropped.contents[name] == hashlib.sha256(pcm).hexdigest()
    assert cropped.contents["a"] == audio.contents["a"]  # lost nothing
    assert cropped.contents["d"] != audio.contents["d"]
    assert cropped.samples is audio.samples
    assert len(audio.waveform("d")) == 8000  # the corpus is unchanged


def test_any_part_may_be_kept_depending_on_the_id(audio: AudioCache) -> None:
    cropped = crop_recordings(audio, IDS, 3200, "anywhere", progress=False)
    again = crop_recordings(audio, IDS[::-1], 3200, "anywhere", progress=False)
    for name in IDS:
        windows = np.lib.stride_tricks.sliding_window_view(audio.waveform(name), 3200)
        (start,) = np.flatnonzero((windows == cropped.waveform(name)).all(axis=1))
        assert start == cropped.index.at[name, "offset"] - audio.index.at[name, "offset"]
        np.testing.assert_array_equal(cropped.waveform(name), again.waveform(name))
    assert cropped.index.at["d", "offset"] > audio.index.at["d", "offset"]


def test_starts_are_spread_over_all_positions() -> None:
    index = pd.DataFrame({"offset": 0, "n_samples": 1000}, index=[f"u{n}" for n in range(3000)])
    corpus = AudioCache(np.zeros(1000, np.int16), index.assign(sha256="", duration=0.0), pd.DataFrame())  # type: ignore[arg-type]
    starts = crop_recordings(corpus, list(index.index), 901, "anywhere", progress=False).index["offset"]
    assert (starts.min(), starts.max()) == (0, 99)
    assert abs(starts.mean() - 49.5) < 2


def test_shortened_recordings_lose_their_transcripts(audio: AudioCache) -> None:
    assert crop_recordings(audio, IDS, 3200, progress=False).texts == {"a": "one"}


def test_a_cropped_corpus_can_be_sent_to_a_worker(audio: AudioCache) -> None:
    cropped = crop_recordings(audio, IDS, 1600, "anywhere", progress=False)
    copy = pickle.loads(pickle.dumps(cropped))
    np.testing.assert_array_equal(copy.waveform("b"), cropped.waveform("b"))


def test_shorter_recordings_raise_value_error(audio: AudioCache) -> None:
    with pytest.raises(ValueError, match="Expected recordings of at least 3200 samples, but got one of 1700"):
        crop_recordings(audio, ["a", "c"], 3200, progress=False)


def test_silent_crops_are_named(tmp_path: Path) -> None:
    speech = np.random.default_rng(0).integers(-9999, 9999, 3200).astype(np.int16)
    with_silence = np.concatenate([np.zeros(1600, np.int16), speech])
    for name, samples in {"without": speech, "with": with_silence}.items():
        sf.write(tmp_path / f"{name}.flac", samples, 16_000)
    table = pd.DataFrame(
        {"id": ["without", "with"], "path": [str(tmp_path / f"{n}.flac") for n in ("without", "with")]}
    )
    audio = decode(table, cache_dir=tmp_path / "cache", progress=False)
    assert silent_crops(audio, ["without", "with"], 1600, "start") == ["with"]
    assert silent_crops(audio, ["without", "with"], 1601, "start") == []
