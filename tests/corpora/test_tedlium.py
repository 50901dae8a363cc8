"""Tests of TED-LIUM: talks in SPHERE files, cut into utterances."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from lightning_mia.corpora import TEDLIUM, tedlium
from lightning_mia.corpora.audio.cache import decode
from lightning_mia.corpora.formats import segments
from lightning_mia.corpora.tedlium import Segment, parse_segment, read_stm
from lightning_mia.utilities.errors import InputError
from tests.terminal import Terminal


def corpus(root: Path, *splits: str, release: str = "release3") -> TEDLIUM:
    return TEDLIUM(str(root), splits or ("train",), release, cache_dir=str(root / "clips"))


def test_table(tree, tmp_path):
    table = corpus(tree("tedlium3", tmp_path)).table()
    assert table.drop(columns="path").to_dict("records") == [
        {
            "id": f"{talk}-{times}",
            "speaker": speaker,
            "text": text,
            "duration": duration,
            "session": talk,
        }
        for talk, times, speaker, text, duration in (
            ("AlGore_2006", "0000250-0001000", "AlGore", "thank you so much", 0.75),
            ("AlGore_2006", "0001000-0002100", "AlGore", "i 've <unk>", 1.1),
            ("JaneGoodall_2003X", "0000500-0001700", "JaneGoodall", "hello", 1.2),
        )
    ]


def test_a_speaker_in_two_splits_has_one_name(tree, tmp_path):
    table = corpus(tree("tedlium3", tmp_path), "train", "test").table()
    assert table["speaker"].tolist() == ["AlGore", "AlGore", "JaneGoodall", "AlGore"]
    assert table["gender"].tolist() == ["", "", "", "male"]
    assert table["text"].tolist()[-1] == "last year"  # the gap before it is omitted
    assert table["id"].is_unique


def test_release1(tree, tmp_path):
    table = corpus(tree("tedlium1", tmp_path), release="release1").table()
    row = table.iloc[0]
    assert (row["text"], row["gender"], row["speaker"]) == ("thank you so much", "male", "AlGore")


def test_segments_are_bit_exact(tree, tmp_path):
    root = tree("tedlium3", tmp_path)
    table = corpus(root).table()
    audio = decode(table, cache_dir=tmp_path / "cache", progress=False)
    talk, _ = sf.read(root / "TEDLIUM_release-3/data/sph/AlGore_2006.sph", dtype="int16")
    for name, start, end in (("0000250-0001000", 4000, 16000), ("0001000-0002100", 16000, 33600)):
        waveform = audio.waveform(f"AlGore_2006-{name}")
        np.testing.assert_array_equal((waveform * 32768).astype(np.int16), talk[start:end])
    np.testing.assert_allclose(audio.index["duration"], table["duration"])
    assert set(audio.index["source_format"]) == {"FLAC"}


def test_only_missing_segments_are_cut(tree, tmp_path, monkeypatch, capsys):
    root = tree("tedlium3", tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", terminal := Terminal())
        first = corpus(root).table()
    assert "Cutting talks" in terminal.getvalue()
    missing = Path(first["path"][1])
    before = {path: Path(path).read_bytes() for path in first["path"]}
    missing.unlink()
    cut_paths = []
    write_flac = segments.write_flac
    monkeypatch.setattr(segments, "write_flac", lambda path, *rest: cut_paths.append(path) or write_flac(path, *rest))
    assert corpus(root).table().equals(first)
    assert cut_paths == [missing]
    capsys.readouterr()
    assert corpus(root).table().equals(first)
    assert capsys.readouterr().err == ""
    assert {path: Path(path).read_bytes() for path in first["path"]} == before


def test_interrupted_cutting_continues(tree, tmp_path, monkeypatch):
    root = tree("tedlium3", tmp_path)
    write_flac, n_cut = segments.write_flac, []

    def write_one(path: Path, *rest: object) -> None:
        if n_cut:
            raise KeyboardInterrupt
        n_cut.append(path)
        write_flac(path, *rest)

    monkeypatch.setattr(segments, "write_flac", write_one)
    with pytest.raises(KeyboardInterrupt):
        corpus(root).table()
    written = []
    monkeypatch.setattr(segments, "write_flac", lambda path, *rest: written.append(path) or write_flac(path, *rest))
    table = corpus(root).table()
    assert [str(path) for path in written] == table["path"].tolist()[1:]
    assert not list(tmp_path.rglob(".*"))


def test_another_talk_of_the_same_name_is_cut_again(tree, tmp_path):
    root = tree("tedlium3", tmp_path)
    before = corpus(root).table()["path"]
    talk = root / "TEDLIUM_release-3/data/sph/AlGore_2006.sph"
    os.utime(talk, ns=(1, 1))
    after = corpus(root).table()["path"]
    assert (before != after).tolist() == [True, True, False]


def test_default_cache_is_under_the_cache_root(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_MIA_CACHE", str(tmp_path / "here"))
    table = TEDLIUM(str(tree("tedlium3", tmp_path))).table()
    assert all(Path(path).is_relative_to(tmp_path / "here/clips/tedlium") for path in table["path"])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda talk: talk.unlink(), "1 of 2 talks are missing: "),
        (lambda talk: talk.write_bytes(b"NIST_1A\n"), "not readable as audio ("),
        (
            lambda talk: talk.write_bytes(talk.read_bytes()[: 1024 + 2 * 20_000]),
            "AlGore_2006.sph: ends at 1.25 s, before the utterance from 1.0 s to 2.1 s: it is truncated; restore",
        ),
        (lambda talk: talk.write_bytes(talk.read_bytes()[: 1024 + 2 * 3_000]), "ends at 0.19 s, before the utterance"),
    ],
)
def test_damaged_talk(tree, tmp_path, damage, message):
    root = tree("tedlium3", tmp_path)
    damage(root / "TEDLIUM_release-3/data/sph/AlGore_2006.sph")
    with pytest.raises(InputError) as error:
        corpus(root).table()
    assert message in str(error.value)
    assert "restore" in str(error.value)


def test_a_segment_may_end_a_little_after_the_talk(tree, tmp_path):
    root = tree("tedlium3", tmp_path)
    (root / "TEDLIUM_release-3/data/stm/AlGore_2006.stm").write_text("AlGore_2006 1 A 2.5 3.2 <NA> end\n")
    assert sf.info(corpus(root).table()["path"][0]).frames == 8000


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("AlGore_2006 1 AlGore_2006", "line 2 is not a segment (not enough values"),
        ("AlGore_2006 1 AlGore_2006 one two <NA> x", "line 2 is not a segment (could not convert"),
        ("AlGore_2006 1 AlGore_2006 2.0 1.0 <NA> x", "line 2 is not a segment (from 2.0 s to 1.0 s)"),
    ],
)
def test_damaged_list(tmp_path, line, message):
    (tmp_path / "a.stm").write_text(f"\n{line}\n")
    with pytest.raises(InputError) as error:
        list(read_stm(tmp_path / "a.stm"))
    assert message in str(error.value)
    (tmp_path / "a.stm").write_bytes(b"\xff\xff")
    with pytest.raises(InputError, match="cannot be read"):
        list(read_stm(tmp_path / "a.stm"))


@pytest.mark.parametrize(
    ("rest", "gender", "text"),
    [
        ("<o,f0,female> she said", "female", "she said"),
        ("<F0_F> she said", "female", "she said"),
        ("<o,f0,male> a(2) man (A-1-2)", "male", "a man"),
        ("<o,,unknown> who", "", "who"),
        ("<NA>", "", ""),
        ("no label (at all) here", "", "no label (at all) here"),
        ("<sil> no label", "", "no label"),
    ],
)
def test_labels_and_marks(rest, gender, text):
    assert parse_segment(f"T_2001 1 T_2001 0 1.5 {rest}") == Segment("T_2001", "T", 0.0, 1.5, gender, text)


def test_knows_the_releases_that_torchaudio_knows(tmp_path):
    from torchaudio import datasets

    assert set(tedlium.FOLDERS) == set(datasets.tedlium._RELEASE_CONFIGS)
    for release in tedlium.FOLDERS:
        for split in tedlium.SPLITS:
            with pytest.raises(RuntimeError) as error:
                datasets.TEDLIUM(tmp_path, release, split)
            with pytest.raises(InputError) as ours:
                TEDLIUM(str(tmp_path), [split], release).table()
            assert str(ours.value).split(":")[0] == str(error.value).split()[2].rstrip("/")
