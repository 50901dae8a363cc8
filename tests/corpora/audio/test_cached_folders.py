"""Decoded audio is listed by source folder, and deleted on demand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from filelock import FileLock

from lightning_mia.audit.cli import main
from lightning_mia.corpora.audio.cache import decode
from lightning_mia.corpora.audio.cached_folders import cached_folders, clear, listing
from lightning_mia.utilities.errors import InputError


def decode_folders(root: Path, cache: Path, names: list[str]) -> list[str]:
    """Decode two recordings of 0.1 s in each folder; return the folders."""
    paths = [root / name / f"{number}.wav" for name in names for number in range(2)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, np.full(1600, 99, np.int16), 16_000)
    table = pd.DataFrame({"id": [str(path) for path in paths], "path": [str(path) for path in paths]})
    decode(table, cache_dir=cache, progress=False)
    return [str(root / name) for name in names]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    decode_folders(tmp_path / "corpus", tmp_path / "cache", ["a", "b/c"])
    return tmp_path / "cache"


def test_folders_are_listed_with_their_recordings(cache: Path, tmp_path: Path) -> None:
    folders = cached_folders(cache)
    assert [cached.folder for cached in folders] == [str(tmp_path / "corpus" / name) for name in ("a", "b/c")]
    assert [cached.n_recordings for cached in folders] == [2, 2]
    assert [cached.n_bytes for cached in folders] == [2 * 2 * 1600] * 2
    lines = listing(folders, cache).splitlines()
    assert lines[1].split() == ["2", "0.00", "0.000", str(tmp_path / "corpus/a")]
    assert lines[3].split() == ["4", "0.00", "0.000", "total"]
    assert lines[4] == f"in {cache}"


def test_many_folders_are_summed_up_by_their_parents(tmp_path: Path) -> None:
    names = [f"{parent}/{number}" for parent in ("x", "y") for number in range(11)]
    decode_folders(tmp_path / "corpus", tmp_path / "cache", names)
    lines = listing(cached_folders(tmp_path / "cache"), tmp_path / "cache").splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["22", "22", "44"]
    assert [line.split()[3] for line in lines[1:3]] == [str(tmp_path / "corpus" / name) for name in ("x", "y")]


def test_a_folder_is_deleted_with_those_inside_it(cache: Path, tmp_path: Path) -> None:
    assert [cached.folder for cached in clear(cache, str(tmp_path / "corpus" / "b"))] == [str(tmp_path / "corpus/b/c")]
    assert [cached.folder for cached in cached_folders(cache)] == [str(tmp_path / "corpus" / "a")]
    with pytest.raises(InputError, match=r"holds no decoded audio of .*/corpus/b; `lightning-mia cache list`"):
        clear(cache, str(tmp_path / "corpus" / "b"))
    clear(cache)
    assert list(cache.iterdir()) == []


def test_audio_that_is_being_decoded_is_not_deleted(cache: Path) -> None:
    pack = cached_folders(cache)[0].packs[0]
    with FileLock(pack / "lock"), pytest.raises(InputError, match="A running command decodes audio into"):
        clear(cache)


def test_the_command_lists_and_clears(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "list", "--cache_dir", str(cache)]) == 0
    assert "total" in capsys.readouterr().out
    assert main(["cache", "list", "folder", "--cache_dir", str(cache)]) == 2
    assert main(["cache", "clear", "--cache_dir", str(cache)]) == 0
    assert capsys.readouterr().out == "deleted: 4 recordings, 0.000 GB\n"
    assert main(["cache", "list", "--cache_dir", str(cache)]) == 0
    assert capsys.readouterr().out == f"no decoded audio in {cache}\n"
    assert main(["cache", "empty"]) == 2
