"""Tests of a folder of audio files as a corpus."""

import os

import numpy as np
import pytest
import soundfile as sf

from lightning_mia.corpora.audio.cache import decode
from lightning_mia.corpora.folder import Folder
from lightning_mia.utilities.errors import InputError


@pytest.fixture
def tree(tmp_path):
    """Create empty files: a folder is listed, not decoded."""

    def make(*names: str) -> str:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return str(tmp_path)

    return make


def test_lists_audio_at_any_depth_with_the_speaker_of_the_folder(tree):
    root = tree("x/anna/1.wav", "x/anna/2.FLAC", "ben/1.opus", "ben/notes.txt", "ben/.hidden.wav", ".git/a/1.wav")
    table = Folder(root).table()
    assert table["id"].tolist() == ["ben/1", "x/anna/1", "x/anna/2"]
    assert table["speaker"].tolist() == ["ben", "anna", "anna"]
    assert table["path"].tolist() == [f"{root}/ben/1.opus", f"{root}/x/anna/1.wav", f"{root}/x/anna/2.FLAC"]


def test_colliding_ids_keep_the_suffix(tree):
    table = Folder(tree("a/1.wav", "a/1.flac", "a/2.wav")).table()
    assert table["id"].tolist() == ["a/1.flac", "a/1.wav", "a/2"]


def test_speaker_from_a_pattern(tree):
    root = tree("wav/p225_001.wav", "wav/p226_001.wav", "p227_001.mp3")
    table = Folder(root, speaker_pattern=r"(p\d+)_").table()
    assert dict(zip(table["id"], table["speaker"], strict=True)) == {
        "wav/p225_001": "p225",
        "wav/p226_001": "p226",
        "p227_001": "p227",
    }


def test_follows_links_but_no_cycles(tree, tmp_path):
    root = tree("corpus/anna/1.wav", "elsewhere/ben/1.wav")
    os.symlink(tmp_path / "elsewhere/ben", tmp_path / "corpus/ben")
    os.symlink(tmp_path / "corpus", tmp_path / "corpus/anna/again")
    assert Folder(f"{root}/corpus").table()["id"].tolist() == ["anna/1", "ben/1"]


@pytest.mark.parametrize(
    ("files", "pattern", "message"),
    [
        (["notes.txt"], None, "no audio files"),
        (["1.wav", "a/1.wav"], None, "1 of 2 files are not in a speaker's folder: 1.wav; move them"),
        (["a/1.wav"], r"p\d+", "has no group"),
        (["a/1.wav"], r"(p\d+", "not a regular expression"),
        (
            ["a/p1.wav", "a/q1.wav"],
            r"/(p)\d",
            "1 of 2 files do not match speaker_pattern '/(p)\\\\d': a/q1.wav",
        ),
        (["a/1.wav"], r"(x)?1", "1 of 1 files do not match"),
    ],
)
def test_errors_name_the_problem(tree, files, pattern, message):
    with pytest.raises(InputError) as error:
        Folder(tree(*files), pattern).table()
    assert message in str(error.value)


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        Folder(str(tmp_path / "nope")).table()


def test_formats_that_cannot_be_decoded_are_listed_not_dropped(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no ffmpeg
    monkeypatch.setattr("lightning_mia.corpora.audio.external.find_spec", lambda name: None)
    (tmp_path / "ann").mkdir()
    sf.write(tmp_path / "ann/1.wav", np.random.default_rng(0).normal(size=5000) / 10, 16_000)
    (tmp_path / "ann/2.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    (tmp_path / "ann/3.webm").write_bytes(b"\x1aE\xdf\xa3" + bytes(100))
    (tmp_path / "ann/4.amr").write_bytes(b"#!AMR\n" + bytes(100))
    table = Folder(str(tmp_path)).table()
    assert table["id"].tolist() == ["ann/1", "ann/2", "ann/3", "ann/4"]
    with pytest.raises(InputError, match=r"3 of 4 recordings cannot be used: .*M4A/MP4, which .*; install ffmpeg"):
        decode(table, cache_dir=tmp_path / "cache", progress=False)
    audio = decode(table, cache_dir=tmp_path / "cache", on_bad_audio="skip", progress=False)
    assert audio.skipped["id"].tolist() == ["ann/2", "ann/3", "ann/4"]


def test_videos_are_counted_in_a_warning(tree, caplog):
    assert len(Folder(tree("a/1.wav", "a/1.mp4", "a/2.mp4", "a/3.MPG")).table()) == 1
    assert "videos are not read (2 .mp4, 1 .mpg)" in caplog.text


def test_names_that_are_not_utf_8_are_refused_in_a_printable_form(tmp_path):
    (tmp_path / "ann").mkdir()
    open(os.fsencode(tmp_path) + b"/ann/caf\xe9.wav", "wb").close()
    (tmp_path / "ann/1.wav").touch()
    with pytest.raises(InputError, match=r"1 of 2 files have names that are not UTF-8: ann/caf\\xe9\.wav; rename them"):
        Folder(str(tmp_path)).table()
