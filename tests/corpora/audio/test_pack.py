"""Tests of the pack: decoded once, updated, atomic, resumable."""

import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from lightning_mia.corpora.audio import pack
from lightning_mia.corpora.audio.pack import open_pack
from lightning_mia.utilities.errors import InputError

LENGTHS = [2000, 3000, 2500, 1800, 4000, 2200]


@pytest.fixture
def paths(tmp_path):
    folder = tmp_path / "audio"
    folder.mkdir()
    noise = np.random.default_rng(0)
    for i, n in enumerate(LENGTHS):
        sf.write(folder / f"{i}.wav", noise.integers(-9999, 9999, n).astype(np.int16), 16_000)
    return [str(folder / f"{i}.wav") for i in range(len(LENGTHS))]


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def decoded(monkeypatch):
    """Record the decoded files, and write after each."""
    names: list[str] = []

    def recording(path: str):
        names.append(Path(path).name)
        return real(path)

    real = pack.decode_file
    monkeypatch.setattr(pack, "decode_file", recording)
    monkeypatch.setattr(pack, "BATCH", 1)
    return names


def content(opened: pack.Pack) -> list[np.ndarray]:
    samples = np.fromfile(opened.samples, dtype="<i2")
    return [samples[file.offset : file.offset + file.n_samples] for file in opened.files]


def folders(cache: Path) -> list[str]:
    return sorted(path.suffix for path in cache.iterdir() if path.is_dir())


def test_contains_every_file_once_in_the_order_of_the_paths(paths, cache):
    opened = open_pack([*reversed(paths), paths[0]], cache, progress=False)
    assert [file.path for file in opened.files] == paths
    for path, samples in zip(paths, content(opened), strict=True):
        np.testing.assert_array_equal(samples, sf.read(path, dtype="int16")[0])
    assert os.path.getsize(opened.samples) == 2 * sum(LENGTHS)


def test_decodes_once_and_again_when_a_file_changed(paths, cache, decoded):
    first = open_pack(paths, cache, progress=False)
    assert len(decoded) == len(paths)
    assert open_pack(paths[::-1], cache, progress=False) == first
    assert len(decoded) == len(paths)
    sf.write(paths[2], np.arange(2500, dtype=np.int16), 16_000)  # as long as before, at another time
    again = open_pack(paths, cache, progress=False)
    assert again.samples != first.samples
    assert again.files[2].sha256 != first.files[2].sha256
    assert again.files[1] == first.files[1]


def test_a_restored_file_is_decoded(paths, cache):
    shutil.move(paths[0], paths[0] + ".away")
    assert open_pack(paths, cache, progress=False).files[0].reason == "no such file"
    shutil.move(paths[0] + ".away", paths[0])
    assert open_pack(paths, cache, progress=False).files[0].reason == ""


def test_an_interrupted_run_is_continued(paths, cache, decoded, monkeypatch):
    complete = open_pack(paths, cache / "complete", progress=False)
    decoded.clear()
    recording = pack.decode_file

    def interrupt(path: str):
        if path == paths[3]:
            raise KeyboardInterrupt
        return recording(path)

    with monkeypatch.context() as patch:
        patch.setattr(pack, "decode_file", interrupt)
        with pytest.raises(KeyboardInterrupt):
            open_pack(paths, cache, progress=False)
    assert folders(cache) == ["", ".partial"]  # "" is complete/
    (partial,) = cache.glob("*.partial")
    with open(partial / pack.SAMPLES, "ab") as file:  # as a killed process leaves them
        file.write(b"\x01\x02\x03")
    with open(partial / pack.INDEX, "a") as file:
        file.write('{"path": "/half')
    resumed = open_pack(paths, cache, progress=False)
    assert sorted(decoded) == [f"{i}.wav" for i in range(len(paths))]  # nothing twice
    assert resumed.files == complete.files
    assert resumed.samples.read_bytes() == complete.samples.read_bytes()
    assert not list(cache.glob("*.partial"))


def test_an_index_ahead_of_the_samples_is_truncated(paths, cache, monkeypatch):
    complete = open_pack(paths, cache, progress=False)
    partial = complete.samples.parent.rename(f"{complete.samples.parent}.partial")
    os.truncate(partial / pack.SAMPLES, 2 * (LENGTHS[0] + LENGTHS[1]) + 100)  # a power cut
    assert len(pack._resume(partial)) == 2
    assert open_pack(paths, cache, progress=False).files == complete.files
    assert os.path.getsize(complete.samples) == 2 * sum(LENGTHS)


def test_a_full_disk_is_one_line_and_frees_the_space(paths, cache, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pack.os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device; free space or set LIGHTNING_MIA_CACHE"):
        open_pack(paths, cache, progress=False)
    assert folders(cache) == []


def test_a_disk_that_is_too_small_is_rejected_before_decoding(paths, cache, decoded, monkeypatch):
    needed = 2 * sum(LENGTHS)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(pack.shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    with pytest.raises(InputError, match=r"needs 0\.00 GB in .*cache, where 0\.00 GB are free; free space"):
        open_pack(paths, cache, progress=False)
    assert decoded == []
    assert folders(cache) == []
    monkeypatch.setattr(pack.shutil, "disk_usage", lambda _: usage._replace(free=needed))
    assert len(open_pack(paths, cache, progress=False).files) == len(paths)


def test_cache_that_cannot_be_written(paths, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"Cannot write the audio cache in .*file"):
        open_pack(paths, tmp_path / "file", progress=False)


def test_two_processes_decode_once(paths, cache, decoded):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: open_pack(paths, cache, progress=False), range(2))
    assert first == second
    assert sorted(decoded) == [f"{i}.wav" for i in range(len(paths))]
