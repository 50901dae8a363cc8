"""Tests of segments and channels of long recordings, in the manifests of every toolkit."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from lightning_mia.corpora import Kaldi, Manifest
from lightning_mia.corpora.audio.cache import decode
from lightning_mia.corpora.base import Corpus
from lightning_mia.utilities.errors import InputError

RATE = 16_000


@pytest.fixture
def call(tmp_path: Path) -> np.ndarray:
    """Write four seconds of a telephone call in stereo, and one second in mono; return the call, int16."""
    samples = np.random.default_rng(0).integers(-9999, 9999, (4 * RATE, 2)).astype(np.int16)
    sf.write(tmp_path / "call.wav", samples, RATE)
    sf.write(tmp_path / "mono.flac", samples[:RATE, 0], RATE)
    return samples


def write_lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def waveforms(corpus: Corpus, tmp_path: Path) -> dict[str, np.ndarray]:
    """Return the samples of every utterance, int16."""
    audio = decode(corpus.table(), cache_dir=tmp_path / "cache", progress=False)
    return {name: (audio.waveform(name) * 32768).astype(np.int16) for name in audio.index.index}


def manifest(path: Path, **options: str) -> Manifest:
    return Manifest(str(path), cache_dir=str(path.parent / "clips"), **options)


def test_nemo_offset_and_duration(call, tmp_path):
    rows = [
        {"audio_filepath": "mono.flac", "offset": 0.25, "duration": 0.5, "speaker": "a"},
        {"audio_filepath": "mono.flac", "offset": 0.0, "duration": 0.25, "speaker": "a"},
        {"audio_filepath": "mono.flac", "offset": 0.0, "duration": 1.02, "speaker": "b"},
        {"audio_filepath": "mono.flac", "offset": 0.75, "speaker": "b"},
    ]
    corpus = manifest(write_lines(tmp_path / "m.jsonl", *rows))
    mono = call[:RATE, 0]
    expected = {
        "mono.flac#0.25s+0.5s": mono[4000:12_000],
        "mono.flac#0.0s+0.25s": mono[:4000],
        "mono.flac": mono,  # the whole recording, with a rounded duration
        "mono.flac#0.75s+": mono[12_000:],
    }
    found = waveforms(corpus, tmp_path)
    assert list(found) == list(expected)
    for name, samples in expected.items():
        np.testing.assert_array_equal(found[name], samples)
    table = corpus.table()
    np.testing.assert_array_equal(table["duration"], [0.5, 0.25, 1.02, np.nan])
    assert table["path"][2] == str(tmp_path / "mono.flac")


def test_segments_are_cut_once(call, tmp_path):
    path = write_lines(tmp_path / "m.jsonl", {"path": "mono.flac", "offset": 0.5, "duration": 0.25, "speaker": "a"})
    file = Path(manifest(path).table()["path"][0])
    written = file.stat().st_mtime_ns
    assert manifest(path).table()["path"].tolist() == [str(file)]
    assert file.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        ({"offset": 0.5, "duration": 0.7}, "m.jsonl: line 1: .*from 0.500 s to 1.200 s exceeds the 1.000 s"),
        ({"offset": 1.0}, "the segment from 1.000 s exceeds the 1.000 s of the recording"),
        ({"channel": 1}, "no channel 1 among 1, counted from 0"),
    ],
)
def test_parts_outside_of_the_recording_are_refused_with_both_numbers(call, tmp_path, segment, message):
    path = write_lines(tmp_path / "m.jsonl", {"path": "mono.flac", "speaker": "a", **segment})
    with pytest.raises(InputError, match=message):
        manifest(path).table()


def test_a_duration_without_offset_is_compared_with_the_audio(call, tmp_path):
    path = write_lines(tmp_path / "m.jsonl", {"path": "mono.flac", "speaker": "a", "duration": 0.25})
    with pytest.raises(InputError, match=r"1\.000 s long, but 0\.250 s are stated as its duration"):
        decode(manifest(path).table(), cache_dir=tmp_path / "cache", progress=False)


def test_a_recording_that_cannot_be_cut_can_be_skipped(call, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"nothing")
    rows = [
        {"path": name, "offset": 0.5, "duration": 0.25, "speaker": "a"}
        for name in ("broken.wav", "mono.flac", "none.wav")
    ]
    table = manifest(write_lines(tmp_path / "m.jsonl", *rows)).table()
    audio = decode(table, cache_dir=tmp_path / "cache", on_bad_audio="skip", progress=False)
    assert audio.skipped["path"].tolist() == [str(tmp_path / "broken.wav"), str(tmp_path / "none.wav")]


def test_a_channel_is_a_speaker(call, tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(
        "id,path,speaker,channel\na,call.wav,ann,0\nb,call.wav,bob,B\nc,call.wav,both,\nd,mono.flac,ann,A\n"
    )
    found = waveforms(manifest(path), tmp_path)
    np.testing.assert_array_equal(found["a"], call[:, 0])
    np.testing.assert_array_equal(found["b"], call[:, 1])
    np.testing.assert_array_equal(found["d"], call[:RATE, 0])
    np.testing.assert_allclose(found["c"], call.mean(axis=1), atol=1)


def test_fairseq_segments(call, tmp_path):
    (tmp_path / "ann").mkdir()
    (tmp_path / "mono.flac").rename(tmp_path / "ann/mono.flac")
    (tmp_path / "m.tsv").write_text(f"{tmp_path}\nann/mono.flac:4000:8000\t8000\nann/mono.flac:0:4001\t4001\n")
    header = "id\taudio\tn_frames\ttgt_text\tspeaker\n"
    (tmp_path / "s2t.tsv").write_text(f"{header}x\tann/mono.flac:4000:8000\t8000\tja\ta\n")
    mono = call[:RATE, 0]
    found = waveforms(manifest(tmp_path / "m.tsv"), tmp_path)
    assert list(found) == ["ann/mono.flac:4000:8000", "ann/mono.flac:0:4001"]
    np.testing.assert_array_equal(found["ann/mono.flac:4000:8000"], mono[4000:12_000])
    np.testing.assert_array_equal(found["ann/mono.flac:0:4001"], mono[:4001])
    assert manifest(tmp_path / "m.tsv").table()["speaker"].tolist() == ["ann", "ann"]
    speech_to_text = manifest(tmp_path / "s2t.tsv")
    np.testing.assert_array_equal(waveforms(speech_to_text, tmp_path)["x"], mono[4000:12_000])
    assert speech_to_text.table()[["text", "speaker"]].values.tolist() == [["ja", "a"]]


def test_speechbrain_csv(call, tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(
        "ID,duration,wav,start,stop,spk_id,wrd\nu1,4.0,{data_root}/mono.flac,4000,12000,s1,HELLO\n"
        "u2,1.0,$data_folder/mono.flac,,,s2,BYE\n"
    )
    corpus = manifest(path, root=str(tmp_path))
    found = waveforms(corpus, tmp_path)
    np.testing.assert_array_equal(found["u1"], call[4000:12_000, 0])
    np.testing.assert_array_equal(found["u2"], call[:RATE, 0])
    assert corpus.table()[["speaker", "text"]].values.tolist() == [["s1", "HELLO"], ["s2", "BYE"]]


def test_speechbrain_json(call, tmp_path):
    objects = {
        "u1": {"wav": "{data_root}/mono.flac", "length": 1.0, "spk_id": "s1", "words": "HELLO"},
        "u2": {"wav": {"file": "mono.flac", "start": 4000, "stop": 12_000}, "spk_id": "s2", "words": "BYE"},
    }
    (tmp_path / "m.json").write_text(json.dumps(objects, indent=2))
    corpus = manifest(tmp_path / "m.json", root=str(tmp_path))
    found = waveforms(corpus, tmp_path)
    np.testing.assert_array_equal(found["u1"], call[:RATE, 0])
    np.testing.assert_array_equal(found["u2"], call[4000:12_000, 0])
    assert corpus.table()["speaker"].tolist() == ["s1", "s2"]
    assert corpus.table()["text"].tolist() == ["HELLO", "BYE"]


RECORDING = {
    "id": "call",
    "sources": [{"type": "file", "channels": [0, 1], "source": "call.wav"}],
    "sampling_rate": RATE,
    "num_samples": 4 * RATE,
    "duration": 4.0,
    "channel_ids": [0, 1],
}
SUPERVISION = {
    "id": "call-1",
    "recording_id": "call",
    "start": 1.0,
    "duration": 0.5,
    "channel": 1,
    "text": "hello",
    "speaker": "bob",
    "gender": "male",
}


def check_lhotse(corpus: Manifest, call: np.ndarray, tmp_path: Path, name: str) -> None:
    np.testing.assert_array_equal(waveforms(corpus, tmp_path)[name], call[16_000:24_000, 1])
    row = corpus.table().drop(columns="path").to_dict("records")[0]
    assert row == {"id": name, "speaker": "bob", "text": "hello", "duration": 0.5, "gender": "male"}


def test_lhotse_recordings_beside_supervisions(call, tmp_path):
    write_lines(tmp_path / "x_recordings_train.jsonl", RECORDING)
    write_lines(tmp_path / "x_supervisions_train.jsonl", SUPERVISION)
    for kind in ("recordings", "supervisions"):
        check_lhotse(manifest(tmp_path / f"x_{kind}_train.jsonl"), call, tmp_path, "call-1")
    (tmp_path / "x_supervisions_train.jsonl").unlink()
    with pytest.raises(InputError, match=r"need their supervisions, expected in x_supervisions_train\.jsonl"):
        manifest(tmp_path / "x_recordings_train.jsonl").table()


def test_lhotse_cuts(call, tmp_path):
    cut = {
        "id": "cut-1",
        "start": 1.0,
        "duration": 0.5,
        "channel": 1,
        "supervisions": [{**SUPERVISION, "start": 0.0}],
        "recording": RECORDING,
        "type": "MonoCut",
    }
    line = (json.dumps(cut) + "\n").encode()
    (tmp_path / "cuts.jsonl.gz").write_bytes(gzip.compress(line))
    check_lhotse(manifest(tmp_path / "cuts.jsonl.gz"), call, tmp_path, "cut-1")
    command = {**RECORDING, "sources": [{"type": "command", "channels": [0], "source": "cat x |"}]}
    refused = {
        "the cut has 2 speakers": {**cut, "supervisions": [SUPERVISION, {**SUPERVISION, "speaker": "ann"}]},
        "a MixedCut of Lhotse holds no single recording": {"id": "x", "type": "MixedCut", "tracks": []},
        "not one unchanged file": {**cut, "recording": command},
        "2 channels in one cut": {**cut, "channel": [0, 1]},
    }
    for message, value in refused.items():
        with pytest.raises(InputError, match=f"line 1: .*{message}"):
            manifest(write_lines(tmp_path / "cuts.jsonl", value)).table()


@pytest.fixture
def kaldi(call, tmp_path):
    """Write files of a data folder of Kaldi's, and read it."""

    def read(**files: str) -> Kaldi:
        for name, text in files.items():
            (tmp_path / name.replace("_scp", ".scp")).write_text(text)
        return Kaldi(str(tmp_path), root=str(tmp_path), cache_dir=str(tmp_path / "clips"))

    return read


def test_kaldi_segments_and_channels(kaldi, call, tmp_path):
    corpus = kaldi(
        wav_scp="callA sph2pipe -f wav -p -c 1 call.wav |\ncallB call.wav\nmono flac -c -d -s mono.flac |\n",
        reco2file_and_channel="callB call B\nmono mono A\n",
        segments="ann-1 callA 0.5 1.5\nbob-1 callB 1.0 -1\nann-2 mono 0.0 0.99\n",
        utt2spk="ann-1 ann\nbob-1 bob\nann-2 ann\n",
        text="ann-1 HELLO YOU\nann-2 BYE\n",
        spk2gender="ann f\n",
    )
    found = waveforms(corpus, tmp_path)
    np.testing.assert_array_equal(found["ann-1"], call[8000:24_000, 0])
    np.testing.assert_array_equal(found["bob-1"], call[16_000:, 1])
    np.testing.assert_array_equal(found["ann-2"], call[:RATE, 0])
    table = corpus.table()
    assert table["speaker"].tolist() == ["ann", "bob", "ann"]
    assert table["text"].tolist() == ["HELLO YOU", "", "BYE"]
    assert table["gender"].tolist() == ["female", "", "female"]
    assert table["path"][2] == str(tmp_path / "mono.flac")


def test_kaldi_without_segments(kaldi, call, tmp_path):
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
def test_kaldi_errors(kaldi, files, message):
    with pytest.raises(InputError, match=message):
        kaldi(**{"wav_scp": "m-1 mono.flac\n", "utt2spk": "m-1 m\nu m\n", **files}).table()


def test_kaldi_missing_files(tmp_path):
    with pytest.raises(InputError, match=r"wav\.scp: cannot read the manifest \(No such file or directory\)"):
        Kaldi(str(tmp_path)).table()
