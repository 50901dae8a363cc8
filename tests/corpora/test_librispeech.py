"""Tests of LibriSpeech, on a miniature."""

import numpy as np
import pytest
import soundfile as sf

from lightning_mia.corpora.audio.cache import decode
from lightning_mia.corpora.librispeech import N_PUBLISHED, LibriSpeech
from lightning_mia.utilities.errors import InputError

TRANSCRIPTS = {
    "train-clean-100/19/198": {"19-198-0000": "NORTHANGER ABBEY", "19-198-0001": "THIS LITTLE WORK"},
    "train-clean-100/26/495": {"26-495-0000": "A"},
    "dev-clean/84/121123": {"84-121123-0000": "GO DO YOU HEAR"},
}


def write_tree(root):
    noise = np.random.default_rng(0)
    for folder, transcripts in TRANSCRIPTS.items():
        chapter = root / "LibriSpeech" / folder
        chapter.mkdir(parents=True)
        for name in transcripts:
            sf.write(chapter / f"{name}.flac", noise.uniform(-0.5, 0.5, 3200), 16_000)
        speaker, number = folder.split("/")[1:]
        lines = "".join(f"{name} {text}\n" for name, text in transcripts.items())
        (chapter / f"{speaker}-{number}.trans.txt").write_text(lines)


def test_reads_the_published_layout(tmp_path):
    write_tree(tmp_path)
    table = LibriSpeech(str(tmp_path), splits=["train-clean-100", "dev-clean"]).table()
    assert table["id"].tolist() == ["19-198-0000", "19-198-0001", "26-495-0000", "84-121123-0000"]
    assert table["speaker"].tolist() == ["19", "19", "26", "84"]
    assert table["session"].tolist() == ["198", "198", "495", "121123"]
    assert table["text"].tolist() == ["NORTHANGER ABBEY", "THIS LITTLE WORK", "A", "GO DO YOU HEAR"]
    assert table["path"][0] == str(tmp_path / "LibriSpeech/train-clean-100/19/198/19-198-0000.flac")
    audio = decode(table, cache_dir=tmp_path / "cache", progress=False)
    assert audio.index["n_samples"].tolist() == [3200] * 4


def test_unknown_split_lists_the_known_ones(tmp_path):
    with pytest.raises(InputError, match="unknown LibriSpeech split train-100; choose from dev-clean, dev-other"):
        LibriSpeech(str(tmp_path), splits=["dev-clean", "train-100"]).table()
    with pytest.raises(InputError, match="no LibriSpeech split; choose from"):
        LibriSpeech(str(tmp_path), splits=[]).table()


def test_missing_data_has_a_remedy(tmp_path):
    with pytest.raises(InputError, match=r"dev-clean: no such folder; set root to .*, or download: true"):
        LibriSpeech(str(tmp_path), splits=["dev-clean"]).table()


def test_recording_without_transcript(tmp_path):
    write_tree(tmp_path)
    (tmp_path / "LibriSpeech/dev-clean/84/121123/84-121123.trans.txt").write_text("84-121123-0009 NO\n")
    with pytest.raises(InputError, match=r"dev-clean: Translation not found for 84-121123-0000; restore"):
        LibriSpeech(str(tmp_path), splits=["dev-clean"]).table()


def test_incomplete_split_is_rejected(tmp_path):
    write_tree(tmp_path)
    with pytest.raises(InputError, match="1 of 2703 recordings, as after an interrupted download"):
        LibriSpeech(str(tmp_path), splits=["dev-clean"], download=True).table()


def test_failed_download(tmp_path, monkeypatch):
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", offline)
    with pytest.raises(InputError, match=r"test-other: download failed \(no route to host\)"):
        LibriSpeech(str(tmp_path / "new"), splits=["test-other"], download=True).table()


def test_knows_the_splits_that_torchaudio_knows():
    from torchaudio.datasets import librispeech

    assert sorted(N_PUBLISHED) == sorted(librispeech._DATA_SUBSETS)
