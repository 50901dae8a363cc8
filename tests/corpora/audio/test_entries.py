"""Lengths and hashes without stored samples equal those of decoded audio."""

from pathlib import Path

import pandas as pd
import pytest

from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio import entries
from lightning_mia.corpora.audio.cache import decode, read_contents
from lightning_mia.corpora.audio.cached_folders import cached_folders, clear
from lightning_mia.corpora.audio.pack import ENTRIES
from lightning_mia.utilities.errors import InputError

FACTS = ["sha256", "n_samples", "duration", "source_rate"]


@pytest.fixture
def never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(entries, "decode_entry", refuse)


@pytest.fixture
def table(tiny_manifest: Path) -> pd.DataFrame:
    return Manifest(str(tiny_manifest)).table()


def test_they_equal_those_of_decoded_audio(table: pd.DataFrame, tmp_path: Path) -> None:
    index, skipped = read_contents(table, cache_dir=tmp_path / "a", progress=False)
    decoded = decode(table, cache_dir=tmp_path / "b", progress=False)
    pd.testing.assert_frame_equal(index[FACTS], decoded.index[FACTS])
    assert skipped.empty
    assert not list((tmp_path / "a").rglob("*.int16"))


def test_a_second_draw_reads_nothing(table: pd.DataFrame, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    first, _ = read_contents(table, cache_dir=tmp_path / "a", progress=False)
    decode(table, cache_dir=tmp_path / "b", progress=False)
    request.getfixturevalue("never_decoded")
    for folder in ("a", "b"):
        again, _ = read_contents(table, cache_dir=tmp_path / folder, progress=False)
        pd.testing.assert_frame_equal(again[FACTS], first[FACTS])


def test_what_an_interruption_left_half_written_is_read_again(table: pd.DataFrame, tmp_path: Path) -> None:
    first, _ = read_contents(table, cache_dir=tmp_path, progress=False)
    for path in tmp_path.rglob(ENTRIES):
        path.write_bytes(path.read_bytes()[:-40])
    for _ in range(2):
        again, _ = read_contents(table, cache_dir=tmp_path, progress=False)
        pd.testing.assert_frame_equal(again, first)


def test_unusable_recordings_are_errors_or_skipped(table: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    rows = pd.concat([table, pd.DataFrame([{"id": "bad", "path": str(tmp_path / "bad.wav"), "speaker": "s"}])])
    with pytest.raises(InputError, match=r"1 of 73 recordings cannot be used: .*bad.wav"):
        read_contents(rows, cache_dir=tmp_path / "c", progress=False)
    index, skipped = read_contents(rows, cache_dir=tmp_path / "c", on_bad_audio="skip", progress=False)
    assert (len(index), skipped["id"].tolist()) == (72, ["bad"])


def test_the_cache_lists_and_clears_them(table: pd.DataFrame, tmp_path: Path) -> None:
    read_contents(table, cache_dir=tmp_path, progress=False)
    folders = cached_folders(tmp_path)
    assert sum(cached.n_recordings for cached in folders) == 72
    assert {cached.n_bytes for cached in folders} == {0}
    assert {cached.folder for cached in folders} == {str(Path(path).parent) for path in table["path"]}
    clear(tmp_path)
    assert not list(tmp_path.iterdir())
