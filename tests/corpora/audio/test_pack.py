"""Tests of the packs: decoded once, reused, resumable."""

import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from lightning_mia.corpora.audio import pack
from lightning_mia.corpora.audio.pack import PackedFile, open_packs, pack_folder
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


def content(opened: list[PackedFile]) -> list[np.ndarray]:
    """Read the samples of every entry."""
    return [
        np.fromfile(Path(file.pack) / pack.SAMPLES, "<i2", count=file.n_samples, offset=2 * file.offset)
        for file in opened
    ]


def assert_complete(opened: list[PackedFile], paths: list[str]) -> None:
    assert [file.path for file in opened] == paths
    for path, samples in zip(paths, content(opened), strict=True):
        np.testing.assert_array_equal(samples, sf.read(path, dtype="int16")[0])


def size_of(cache: Path) -> int:
    return sum(path.stat().st_size for path in cache.glob(f"*/{pack.SAMPLES}"))


def test_contains_every_file_once_in_the_order_of_the_paths(paths, cache):
    assert_complete(open_packs([*reversed(paths), paths[0]], cache, progress=False), paths)
    assert size_of(cache) == 2 * sum(LENGTHS)


def test_decodes_once_and_only_the_file_that_changed(paths, cache, decoded):
    first = open_packs(paths, cache, progress=False)
    assert len(decoded) == len(paths)
    assert open_packs(paths[::-1], cache, progress=False) == first
    assert len(decoded) == len(paths)
    sf.write(paths[2], np.arange(2500, dtype=np.int16), 16_000)  # as long as before, at another time
    again = open_packs(paths, cache, progress=False)
    assert decoded[len(paths) :] == ["2.wav"]
    assert_complete(again, paths)
    assert again[:2] == first[:2]


def test_other_tables_reuse_what_is_decoded(paths, cache, decoded):
    open_packs(paths[:4], cache, progress=False)
    open_packs(paths[1::2], cache, progress=False)
    assert_complete(open_packs(paths, cache, progress=False), paths)
    assert sorted(decoded) == [f"{i}.wav" for i in range(len(paths))]
    assert size_of(cache) == 2 * sum(LENGTHS)


def test_every_source_folder_has_a_pack(paths, cache, decoded):
    other = Path(paths[0]).parents[1] / "other"
    shutil.copytree(Path(paths[0]).parent, other)
    everything = [*paths, *(str(other / Path(path).name) for path in paths)]
    opened = open_packs(everything, cache, progress=False)
    assert_complete(opened, everything)
    assert {file.pack for file in opened} == {str(pack_folder(cache, str(f))) for f in (other, Path(paths[0]).parent)}


def test_a_file_of_the_same_size_and_time_is_noticed(paths, cache):
    open_packs(paths, cache, progress=False)
    stat = os.stat(paths[0])
    replacement = Path(paths[0]).with_name("new.wav")
    sf.write(replacement, np.arange(LENGTHS[0], dtype=np.int16), 16_000)
    os.utime(replacement, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(replacement, paths[0])
    assert (os.stat(paths[0]).st_size, os.stat(paths[0]).st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert_complete(open_packs(paths, cache, progress=False), paths)


def test_a_restored_file_is_decoded(paths, cache):
    shutil.move(paths[0], paths[0] + ".away")
    assert open_packs(paths, cache, progress=False)[0].reason == "no such file"
    shutil.move(paths[0] + ".away", paths[0])
    assert open_packs(paths, cache, progress=False)[0].reason == ""


def test_an_interrupted_run_is_continued(paths, cache, decoded, monkeypatch):
    recording = pack.decode_file

    def interrupt(path: str):
        if path == paths[3]:
            raise KeyboardInterrupt
        return recording(path)

    with monkeypatch.context() as patch:
        patch.setattr(pack, "decode_file", interrupt)
        with pytest.raises(KeyboardInterrupt):
            open_packs(paths, cache, progress=False)
    (folder,) = cache.iterdir()
    with open(folder / pack.SAMPLES, "ab") as file:  # as a killed process leaves them
        file.write(b"\x01\x02\x03")
    with open(folder / pack.INDEX, "a") as file:
        file.write('{"path": "/half')
    assert_complete(open_packs(paths, cache, progress=False), paths)
    assert sorted(decoded) == [f"{i}.wav" for i in range(len(paths))]  # nothing twice
    assert size_of(cache) == 2 * sum(LENGTHS)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_samples_lost_in_a_power_cut_are_decoded_again(paths, cache, decoded, kept):
    (folder,) = {file.pack for file in open_packs(paths, cache, progress=False)}
    decoded.clear()
    os.truncate(Path(folder) / pack.SAMPLES, 2 * sum(LENGTHS[:kept]) + 100)
    assert_complete(open_packs(paths, cache, progress=False), paths)
    assert decoded == [f"{i}.wav" for i in range(kept, len(paths))]


@pytest.mark.parametrize("damage", [b"\0" * 50 + b"\n", b"[]\n", b"{}\n", b'{"path": 3, "colour": 4}\n', b"\xff\n"])
def test_a_damaged_index_is_written_again_from_the_damage_on(paths, cache, decoded, damage):
    (folder,) = {file.pack for file in open_packs(paths, cache, progress=False)}
    decoded.clear()
    index = Path(folder) / pack.INDEX
    lines = index.read_bytes().splitlines(keepends=True)
    index.write_bytes(b"".join([*lines[:2], damage, *lines[3:]]))
    assert_complete(open_packs(paths, cache, progress=False), paths)
    assert decoded[-1] == "5.wav" and len(decoded) >= 4
    assert open_packs(paths, cache, progress=False)[2].path == paths[2]


def test_a_full_disk_is_one_line_and_frees_the_space(paths, cache, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pack.os, "fsync", full)
    with pytest.raises(InputError, match=r"No space left on device; free space or set LIGHTNING_MIA_CACHE"):
        open_packs(paths, cache, progress=False)
    assert list(cache.iterdir()) == []


def test_a_disk_that_is_too_small_is_rejected_before_decoding(paths, cache, decoded, monkeypatch):
    needed = 2 * sum(LENGTHS)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(pack.shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    with pytest.raises(InputError, match=r"needs 0\.00 GB in .*cache, where 0\.00 GB are free; free space"):
        open_packs(paths, cache, progress=False)
    assert decoded == []
    assert list(cache.iterdir()) == []
    monkeypatch.setattr(pack.shutil, "disk_usage", lambda _: usage._replace(free=needed))
    assert len(open_packs(paths, cache, progress=False)) == len(paths)


def test_cache_that_cannot_be_written(paths, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"Cannot write the audio cache in .*file"):
        open_packs(paths, tmp_path / "file", progress=False)


def test_two_processes_decode_once(paths, cache, decoded):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: open_packs(paths, cache, progress=False), range(2))
    assert first == second
    assert sorted(decoded) == [f"{i}.wav" for i in range(len(paths))]
