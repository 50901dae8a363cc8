"""Tests of data folders of Kaldi's."""

from collections.abc import Callable

import numpy as np
import pytest

from lightning_mia.corpora import Kaldi
from lightning_mia.corpora.base import Corpus
from lightning_mia.utilities.errors import InputError

RATE = 16_000
Waveforms = Callable[[Corpus], dict[str, np.ndarray]]


@pytest.fixture
def kaldi(call, tmp_path):
    """Write files of a data folder of Kaldi's, and read it."""

    def read(**files: str) -> Kaldi:
        for name, text in files.items():
            (tmp_path / name.replace("_scp", ".scp")).write_text(text)
        return Kaldi(str(tmp_path), root=str(tmp_path), cache_dir=str(tmp_path / "clips"))

    return read


def test_segments_and_channels(kaldi, call, waveforms: Waveforms, tmp_path):
    corpus = kaldi(
        wav_scp="callA sph2pipe -f wav -p -c 1 call.wav |\ncallB call.wav\nmono flac -c -d -s mono.flac |\n",
        reco2file_and_channel="callB call B\nmono mono A\n",
        segments="ann-1 callA 0.5 1.5\nbob-1 callB 1.0 -1\nann-2 mono 0.0 0.99\n",
        utt2spk="ann-1 ann\nbob-1 bob\nann-2 ann\n",
        text="ann-1 HELLO YOU\nann-2 BYE\n",
        spk2gender="ann f\n",
    )
    found = waveforms(corpus)
    np.testing.assert_array_equal(found["ann-1"], call[8000:24_000, 0])
    np.testing.assert_array_equal(found["bob-1"], call[16_000:, 1])
    np.testing.assert_array_equal(found["ann-2"], call[:RATE, 0])
    table = corpus.table()
    assert table["speaker"].tolist() == ["ann", "bob", "ann"]
    assert table["text"].tolist() == ["HELLO YOU", "", "BYE"]
    assert table["gender"].tolist() == ["female", "", "female"]
    assert table["path"][2] == str(tmp_path / "mono.flac")


def test_without_segments(kaldi, call, tmp_path):
    table = kaldi(wav_scp="m-1 mono.flac\n", utt2spk="m-1 m\n").table()
    assert table.values.tolist() == [["m-1", str(tmp_path / "mono.flac"), "m"]]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"wav_scp": "m-1 sox mono.flac -t wav - |\n"}, "m-1 in wav.scp is a command, which is not run: sox mono.flac"),
        ({"wav_scp": "m-1 flac -c -d -s x.flac | touch y |\n"}, "is a command, which is not run"),
        ({"wav_scp": "m-1 raw.ark:17\n"}, "an archive of Kaldi's"),
        ({"wav_scp": "m-1 a.wav\nm-1 b.wav\n"}, "line 2 repeats 'm-1'"),
        ({"segments": "u m-1 2.0 1.0\n"}, "segments: u: a segment from 2.0 s to 1.0 s"),
        ({"segments": "u other 0 1\n"}, "no recording 'other' in wav.scp"),
        ({"segments": "u m-1 0\n"}, "'m-1 0' is not a recording, a start and an end"),
        ({"reco2file_and_channel": "m-1 m-1 C\n"}, "no channel A, B, 1 or 2 in 'm-1 C'"),
        ({"utt2spk": ""}, "empty speaker in 1 of 1 rows"),
    ],
)
def test_errors(kaldi, files, message):
    with pytest.raises(InputError, match=message):
        kaldi(**{"wav_scp": "m-1 mono.flac\n", "utt2spk": "m-1 m\nu m\n", **files}).table()


def test_missing_files(tmp_path):
    with pytest.raises(InputError, match=r"wav\.scp: cannot read the manifest \(No such file or directory\)"):
        Kaldi(str(tmp_path)).table()
