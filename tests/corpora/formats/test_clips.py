"""Tests of cut segments and channels, in the manifests of every toolkit."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import decode
from lightning_mia.corpora.base import Corpus
from lightning_mia.utilities.errors import InputError

RATE = 16_000
Waveforms = Callable[[Corpus], dict[str, np.ndarray]]


def write_lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def manifest(path: Path, **options: str) -> Manifest:
    return Manifest(str(path), cache_dir=str(path.parent / "clips"), **options)


def test_nemo_offset_and_duration(call, tmp_path, waveforms):
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
    found = waveforms(corpus)
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


def test_a_channel_is_a_speaker(call, tmp_path, waveforms):
    path = tmp_path / "m.csv"
    path.write_text(
        "id,path,speaker,channel\na,call.wav,ann,0\nb,call.wav,bob,B\nc,call.wav,both,\nd,mono.flac,ann,A\n"
    )
    found = waveforms(manifest(path))
    np.testing.assert_array_equal(found["a"], call[:, 0])
    np.testing.assert_array_equal(found["b"], call[:, 1])
    np.testing.assert_array_equal(found["d"], call[:RATE, 0])
    np.testing.assert_allclose(found["c"], call.mean(axis=1), atol=1)


def test_fairseq_segments(call, tmp_path, waveforms):
    (tmp_path / "ann").mkdir()
    (tmp_path / "mono.flac").rename(tmp_path / "ann/mono.flac")
    (tmp_path / "m.tsv").write_text(f"{tmp_path}\nann/mono.flac:4000:8000\t8000\nann/mono.flac:0:4001\t4001\n")
    header = "id\taudio\tn_frames\ttgt_text\tspeaker\n"
    (tmp_path / "s2t.tsv").write_text(f"{header}x\tann/mono.flac:4000:8000\t8000\tja\ta\n")
    mono = call[:RATE, 0]
    found = waveforms(manifest(tmp_path / "m.tsv"))
    assert list(found) == ["ann/mono.flac:4000:8000", "ann/mono.flac:0:4001"]
    np.testing.assert_array_equal(found["ann/mono.flac:4000:8000"], mono[4000:12_000])
    np.testing.assert_array_equal(found["ann/mono.flac:0:4001"], mono[:4001])
    assert manifest(tmp_path / "m.tsv").table()["speaker"].tolist() == ["ann", "ann"]
    speech_to_text = manifest(tmp_path / "s2t.tsv")
    np.testing.assert_array_equal(waveforms(speech_to_text)["x"], mono[4000:12_000])
    assert speech_to_text.table()[["text", "speaker"]].values.tolist() == [["ja", "a"]]


def test_speechbrain_csv(call, tmp_path, waveforms):
    path = tmp_path / "m.csv"
    path.write_text(
        "ID,duration,wav,start,stop,spk_id,wrd\nu1,4.0,{data_root}/mono.flac,4000,12000,s1,HELLO\n"
        "u2,1.0,$data_folder/mono.flac,,,s2,BYE\n"
    )
    corpus = manifest(path, root=str(tmp_path))
    found = waveforms(corpus)
    np.testing.assert_array_equal(found["u1"], call[4000:12_000, 0])
    np.testing.assert_array_equal(found["u2"], call[:RATE, 0])
    assert corpus.table()[["speaker", "text"]].values.tolist() == [["s1", "HELLO"], ["s2", "BYE"]]


def test_speechbrain_json(call, tmp_path, waveforms):
    objects = {
        "u1": {"wav": "{data_root}/mono.flac", "length": 1.0, "spk_id": "s1", "words": "HELLO"},
        "u2": {"wav": {"file": "mono.flac", "start": 4000, "stop": 12_000}, "spk_id": "s2", "words": "BYE"},
    }
    (tmp_path / "m.json").write_text(json.dumps(objects, indent=2))
    corpus = manifest(tmp_path / "m.json", root=str(tmp_path))
    found = waveforms(corpus)
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


def check_lhotse(corpus: Manifest, call: np.ndarray, waveforms: Waveforms, name: str) -> None:
    np.testing.assert_array_equal(waveforms(corpus)[name], call[16_000:24_000, 1])
    row = corpus.table().drop(columns="path").to_dict("records")[0]
    assert row == {"id": name, "speaker": "bob", "text": "hello", "duration": 0.5, "gender": "male"}


def test_lhotse_recordings_beside_supervisions(call, waveforms, tmp_path):
    write_lines(tmp_path / "x_recordings_train.jsonl", RECORDING)
    write_lines(tmp_path / "x_supervisions_train.jsonl", SUPERVISION)
    for kind in ("recordings", "supervisions"):
        check_lhotse(manifest(tmp_path / f"x_{kind}_train.jsonl"), call, waveforms, "call-1")
    (tmp_path / "x_supervisions_train.jsonl").unlink()
    with pytest.raises(InputError, match=r"need their supervisions, expected in x_supervisions_train\.jsonl"):
        manifest(tmp_path / "x_recordings_train.jsonl").table()


def test_lhotse_cuts(call, waveforms, tmp_path):
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
    check_lhotse(manifest(tmp_path / "cuts.jsonl.gz"), call, waveforms, "cut-1")
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
