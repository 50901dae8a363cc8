"""Tests of decoded audio by utterance id."""

import hashlib
import os
import pickle
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.audio.cropping import crop_recordings
from lightning_mia.corpora.manifest import Manifest
from lightning_mia.utilities.errors import InputError


@pytest.fixture
def table(tmp_path):
    """Write four recordings, one of them with two ids."""
    noise = np.random.default_rng(0)
    for name, n in {"c": 2000, "a": 3200, "b": 1700}.items():
        sf.write(tmp_path / f"{name}.flac", noise.integers(-9999, 9999, n).astype(np.int16), 16_000)
    sf.write(tmp_path / "d.wav", noise.uniform(-0.5, 0.5, (4410, 2)), 44_100, subtype="PCM_24")
    rows = {"u0": "c.flac", "u1": "a.flac", "NA": "b.flac", "0003": "a.flac", "u4": "d.wav"}
    return pd.DataFrame({"id": list(rows), "path": [str(tmp_path / name) for name in rows.values()]})


def opened(table: pd.DataFrame, tmp_path: Path, **options) -> AudioCache:
    return decode(table, cache_dir=tmp_path / "cache", progress=False, **options)


def test_index_is_by_id_in_the_order_of_the_table(table, tmp_path):
    audio = opened(table, tmp_path)
    assert audio.index.index.tolist() == ["u0", "u1", "NA", "0003", "u4"]
    assert audio.index["n_samples"].tolist() == [2000, 3200, 1700, 3200, 1600]
    np.testing.assert_allclose(audio.index["duration"], audio.index["n_samples"] / SAMPLE_RATE)
    assert audio.index.loc["u4", "source_rate":"source_subtype"].tolist() == [44_100, 2, "WAV", "PCM_24"]
    assert audio.index.loc["NA", "source_rate":"source_subtype"].tolist() == [16_000, 1, "FLAC", "PCM_16"]
    assert audio.index.at["u1", "offset"] == audio.index.at["0003", "offset"]
    assert len(audio.samples) == 2000 + 3200 + 1700 + 1600
    assert audio.skipped.empty


def test_waveform_is_the_file_as_float32(table, tmp_path):
    audio = opened(table, tmp_path)
    for name, path in zip(table["id"][:4], table["path"], strict=False):
        waveform = audio.waveform(name)
        assert waveform.dtype == np.float32
        np.testing.assert_array_equal(waveform, sf.read(path, dtype="float32")[0])
        pcm = (waveform * 32768).astype("<i2").tobytes()
        assert audio.index.at[name, "sha256"] == hashlib.sha256(pcm).hexdigest()
    with pytest.raises(KeyError):
        audio.waveform("u9")


def test_data_hash_depends_on_ids_and_contents_but_not_order(table, tmp_path):
    audio = opened(table, tmp_path)
    expected = audio.data_hash(["u0", "u1"])
    assert audio.data_hash(["u1", "u0"]) == expected
    assert audio.data_hash(["u0", "0003"]) != expected  # the same audio under another id
    assert audio.data_hash(["u0"]) != expected
    path = table["path"][0]
    os.utime(path, ns=(time.time_ns(), time.time_ns()))
    assert opened(table, tmp_path).data_hash(["u0", "u1"]) == expected  # decoded again, to the same
    sf.write(path, np.arange(2000, dtype=np.int16), 16_000)
    assert opened(table, tmp_path).data_hash(["u0", "u1"]) != expected


def test_pickle_leaves_the_samples_on_disk(table, tmp_path):
    audio = opened(table, tmp_path)
    audio.waveform("u0")
    pickled = pickle.dumps(audio)
    assert audio.pcm("u0")[:100].tobytes() not in pickled
    copy = pickle.loads(pickled)
    np.testing.assert_array_equal(copy.waveform("u4"), audio.waveform("u4"))
    pd.testing.assert_frame_equal(copy.index, audio.index)


def test_missing_samples_are_an_error(table, tmp_path):
    audio = decode(table, cache_dir=tmp_path, progress=False)
    pickled = pickle.dumps(audio)
    Path(audio.samples.files[0]).unlink()
    with pytest.raises(InputError, match=r"samples.int16 does not exist: .* LIGHTNING_MIA_CACHE"):
        pickle.loads(pickled)


def test_bad_audio_is_counted_and_named_or_excluded(table, tmp_path):
    bad = [tmp_path / f"bad{i}.wav" for i in range(7)]
    bad[0].touch()
    sf.write(bad[1], np.zeros(5000), 16_000)
    bad_table = pd.DataFrame({"id": [f"bad{i}" for i in range(7)], "path": [str(path) for path in bad]})
    mixed = pd.concat([bad_table, table], ignore_index=True)
    with pytest.raises(InputError) as error:
        opened(mixed, tmp_path)
    message = str(error.value)
    assert message.startswith("7 of 12 recordings cannot be used: ")
    assert f"{bad[0]}: empty file; {bad[1]}: silent" in message
    assert f"{bad[4]}: no such file; and 2 more; " in message
    assert message.endswith("or exclude them by on_bad_audio: skip")
    assert "\n" not in message

    audio = opened(mixed, tmp_path, on_bad_audio="skip")
    assert audio.index.index.tolist() == table["id"].tolist()
    assert audio.skipped["id"].tolist() == bad_table["id"].tolist()
    assert audio.skipped["path"].tolist() == bad_table["path"].tolist()
    assert audio.skipped["reason"][0] == "empty file"
    complete = opened(table, tmp_path)
    np.testing.assert_array_equal(audio.waveform("u4"), complete.waveform("u4"))
    assert audio.data_hash(["u0", "u4"]) == complete.data_hash(["u4", "u0"])


@pytest.mark.parametrize("on_bad_audio", ["error", "skip"])
def test_only_bad_audio_is_an_error(tmp_path, on_bad_audio):
    table = pd.DataFrame({"id": ["a"], "path": [str(tmp_path / "a.wav")]})
    with pytest.raises(
        InputError, match=r"1 of 1 recordings cannot be used: .*a\.wav: no such file; .* check the paths"
    ):
        opened(table, tmp_path, on_bad_audio=on_bad_audio)


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flip_one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[101] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    os.truncate(path, 100)


@pytest.mark.parametrize("damage", [zero, flip_one_bit, cut, Path.unlink])
def test_damaged_audio_is_refused_when_it_is_read(table, tmp_path, damage):
    audio = opened(table, tmp_path)
    (file,) = audio.samples.files
    damage(Path(file))
    with pytest.raises(InputError) as error:
        for name in audio.index.index:
            audio.waveform(name)
    assert file in str(error.value)
    assert "run the same command again" in str(error.value)
    shutil.rmtree(Path(file).parent, ignore_errors=True)
    again = opened(table, tmp_path)
    assert again.contents == audio.contents
    assert again.waveform("u4").any()


def test_damaged_audio_is_refused_in_other_processes_and_crops(table, tmp_path):
    audio = opened(table, tmp_path)
    audio.waveform("u1")
    zero(Path(audio.samples.files[0]))
    with pytest.raises(InputError, match=r"The audio of u1 in .* is damaged"):
        pickle.loads(pickle.dumps(audio)).waveform("u1")
    with pytest.raises(InputError, match=r"The audio of u0 in .* is damaged"):
        crop_recordings(audio, ["u0"], 1600, progress=False)


def test_default_folder_is_the_cache_root(table, tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_MIA_CACHE", str(tmp_path / "root"))
    audio = decode(table, progress=False)
    assert Path(audio.samples.files[0]).is_relative_to(tmp_path / "root" / "audio")


@pytest.mark.slow
@pytest.mark.corpora
@pytest.mark.skipif("LIGHTNING_MIA_CORPORA" not in os.environ, reason="LIGHTNING_MIA_CORPORA is not set")
def test_real_corpus(tmp_path):
    manifest = Path(os.environ["LIGHTNING_MIA_CORPORA"]) / "arabic-speech-commands" / "manifest.csv"
    table = Manifest(str(manifest)).table()
    audio = opened(table, tmp_path)
    assert len(table) == 4000
    np.testing.assert_allclose(audio.index["duration"], table["duration"], atol=0.01)
    for row in table.sample(20, random_state=0).itertuples():
        np.testing.assert_array_equal(audio.waveform(row.id), sf.read(row.path, dtype="float32")[0])
