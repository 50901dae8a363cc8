import os
from pathlib import Path

import pytest

from lightning_mia.utilities import files
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path, cache_root, hash_of, hash_of_file, write_json


def test_environment_names_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_MIA_CACHE", "~/elsewhere")
    assert cache_root() == Path.home() / "elsewhere"
    monkeypatch.delenv("LIGHTNING_MIA_CACHE")
    assert cache_root() == Path.home() / ".cache" / "lightning_mia"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_a_full_disk_is_reported_in_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"Cannot write .*a\.txt: No space left"),
        atomic_path(tmp_path / "a.txt"),
    ):
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_json_rejects_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"auroc": float("nan")})
    assert not list(tmp_path.iterdir())


def test_hashes_distinguish_values(tmp_path: Path) -> None:
    assert hash_of({"a": 1}) != hash_of({"a": 2})
    (tmp_path / "x").write_bytes(b"abc")
    assert hash_of_file(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_finished_file_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    sync, replace = files.sync, os.replace
    monkeypatch.setattr(files, "sync", lambda path: (calls.append(f"sync {path.suffix}"), sync(path)))
    monkeypatch.setattr(os, "replace", lambda *names: (calls.append("replace"), replace(*names)))
    write_json(tmp_path / "a.json", {})
    assert calls == ["sync .json", "replace", "sync "]  # the file, its name, the folder
