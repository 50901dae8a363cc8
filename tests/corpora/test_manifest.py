"""Tests of manifests: formats, variants and mistakes."""

import json

import numpy as np
import pytest

from lightning_mia.corpora.manifest import Manifest
from lightning_mia.utilities.errors import InputError


@pytest.fixture
def manifest(tmp_path):
    """Write a manifest and read it."""

    def read(text: str | bytes, name: str = "m.csv"):
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(content)
        return Manifest(str(tmp_path / name)).table()

    return read


def test_csv_keeps_text_and_resolves_paths(manifest, tmp_path):
    table = manifest(
        "speaker,text,path,id,duration,member,extra\n"
        '0001,"yes, and no",a/b.wav,NA,1.5,1,x\n'
        "null,,/abs/c.wav,0010,,held_back,y\n"
        "nan,zero,../d.wav,1e3,2,,z\n"
    )
    assert table["id"].tolist() == ["NA", "0010", "1e3"]
    assert table["speaker"].tolist() == ["0001", "null", "nan"]
    assert table["path"].tolist() == [str(tmp_path / "a/b.wav"), "/abs/c.wav", str(tmp_path.parent / "d.wav")]
    assert table["text"].tolist() == ["yes, and no", "", "zero"]
    assert table["member"].tolist() == ["1", "held_back", ""]
    np.testing.assert_array_equal(table["duration"], [1.5, np.nan, 2])
    assert "extra" not in table
    assert "session" not in table


@pytest.mark.parametrize("suffix", ["m.csv", "m.txt", "manifest"])
def test_csv_of_a_spreadsheet(manifest, suffix):
    table = manifest(b'\xef\xbb\xbfid, path , speaker\r\n"a", "x.wav","s, jr."\r\n\r\nb,\xc3\xa9.wav,t\r\n', suffix)
    assert table["id"].tolist() == ["a", "b"]
    assert table["speaker"].tolist() == ["s, jr.", "t"]
    assert table["path"].str.endswith(("/x.wav", "/é.wav")).all()


def test_json_lines(manifest, tmp_path):
    rows = [
        {"id": 7, "path": "a.wav", "speaker": 19, "member": 1, "session": "0002", "duration": 1.25, "n": [1]},
        {"audio_filepath": "b/c.wav", "speaker": "0001", "offset": 0.0, "member": None, "text": "é"},
    ]
    table = manifest("\n".join(map(json.dumps, rows)) + "\n\n", "m.jsonl")
    assert table["id"].tolist() == ["7", "b/c.wav"]
    assert table["path"].tolist() == [str(tmp_path / "a.wav"), str(tmp_path / "b/c.wav")]
    assert table["speaker"].tolist() == ["19", "0001"]
    assert table["member"].tolist() == ["1", ""]
    assert table["session"].tolist() == ["0002", ""]
    assert table["text"].tolist() == ["", "é"]
    np.testing.assert_array_equal(table["duration"], [1.25, np.nan])


def test_gender_and_accent_are_kept_as_written(manifest):
    table = manifest("accent,id,path,speaker,gender,member\nFife,a,a.wav,s,F,1\n,b,b.wav,t,,0\n")
    assert list(table) == ["id", "path", "speaker", "gender", "accent", "member"]
    assert table["gender"].tolist() == ["F", ""]
    assert table["accent"].tolist() == ["Fife", ""]


def test_json_lines_are_detected_by_content(manifest):
    assert len(manifest('{"path": "a.wav", "speaker": "s"}\n', "m.manifest")) == 1


@pytest.mark.parametrize("name", ["train.tsv", "train.txt"])
def test_fairseq_tsv(manifest, name):
    table = manifest("/data\nspk1/s/u1.flac\t16000\nspk2/u1.wav\t320\nspk2/u1.flac\t320\n", name)
    assert table["id"].tolist() == ["spk1/s/u1", "spk2/u1.wav", "spk2/u1.flac"]
    assert table["path"].tolist() == ["/data/spk1/s/u1.flac", "/data/spk2/u1.wav", "/data/spk2/u1.flac"]
    assert table["speaker"].tolist() == ["spk1", "spk2", "spk2"]


def test_fairseq_tsv_of_librispeech_takes_the_speaker_from_the_file_name(manifest, tmp_path):
    table = manifest("LibriSpeech\ntrain-clean-100/19/198/19-198-0000.flac\t16000\n84-121123-0001.flac\t3\n", "t.tsv")
    assert table["speaker"].tolist() == ["19", "84"]
    assert table["path"][0] == str(tmp_path / "LibriSpeech/train-clean-100/19/198/19-198-0000.flac")


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "m.csv", "no utterances"),
        ("\n \n", "m.jsonl", "no utterances"),
        ("/data\n", "m.tsv", "no utterances"),
        ("id,path,speaker\n", "m.csv", "no utterances"),
        (
            "id,file,who\na,b,c\n",
            "m.csv",
            "no column path, speaker; found id, file, who; id, path, speaker are needed",
        ),
        ("id;path;speaker\na;b;c\n", "m.csv", "found id;path;speaker"),
        ("id,path,speaker,id\na,b,c,d\n", "m.csv", "a column occurs twice in id, path, speaker, id"),
        (
            "id,path,speaker\na,b,c\n\na,d,e\n",
            "m.csv",
            "duplicate id in 2 of 2 rows: line 2 ('a'); line 4 ('a')",
        ),
        ("id,path,speaker\na,,c\n", "m.csv", "empty path in 1 of 1 rows: line 2"),
        ("id,path,speaker\na,b,\n", "m.csv", "empty speaker in 1 of 1 rows: line 2"),
        ("id,path,speaker\na,b,c\n,e,f\n", "m.csv", "empty id in 1 of 2 rows: line 3"),
        (
            "id,path,speaker,member\na,b,c,1\nd,e,f,maybe\n",
            "m.csv",
            "unknown member value in 1 of 2 rows: line 3 ('maybe')",
        ),
        ("id,path,speaker,member\na,b,c,1.5\n", "m.csv", "line 2 ('1.5')"),
        (
            "id,path,speaker,text\na,b,c,no, not\nd,e,f,g\n",
            "m.csv",
            "4 columns, but line 2 has 5; put fields",
        ),
        ('id,path,speaker\na,b,"c\n', "m.csv", "is not CSV"),
        (b"id,path,speaker\n\xe9,b,c\n", "m.csv", "not text in UTF-8 (byte 16)"),
        ('{"path": "a", "speaker": "s"}\n{"path": \n', "m.jsonl", "not a JSON object: line 2;"),
        ('[\n{"path": "a"}\n]', "m.json", "not a JSON object: line 1; line 3;"),
        ('{"path": "a"}\n', "m.jsonl", "no column speaker; found path, id"),
        ('{"path": "a", "speaker": "s"}\n{"path": "b"}\n', "m.jsonl", "empty speaker in 1 of 2 rows: line 2"),
        ('{"speaker": "s"}\n', "m.jsonl", "no column id, path; found speaker"),
        ('{"path": "a", "speaker": ["s", "t"]}\n', "m.jsonl", "speaker is neither text in UTF-8 nor a number"),
        ('{"path": "a", "speaker": NaN}\n', "m.jsonl", "empty speaker in 1 of 1 rows: line 1"),
        ('{"path": "a", "speaker": Infinity}\n', "m.jsonl", "in 1 of 1 rows: line 1 (float)"),
        ('{"path": "a", "speaker": "s", "id": "a\\ud800"}\n', "m.jsonl", "line 1 ('a\\ud800')"),
        ('{"path": "a\\u0000", "speaker": "s"}\n', "m.jsonl", "id with a line break or control character"),
        ("[" * 100_000 + "\n", "m.jsonl", "not a JSON object: line 1"),
        ('{"path": "a", "speaker": "s", "offset": -1}\n', "m.jsonl", "line 1: offset is -1; give a number of at"),
        ('{"path": "a", "speaker": "s", "offset": "x"}\n', "m.jsonl", "line 1: offset is 'x'"),
        ("id,path,speaker,start,stop\na,b,c,5,4\n", "m.csv", "line 2: samples from 5 to 4; start and stop count"),
        ("id,path,speaker,start,end\na,b,c,5,9\n", "m.csv", "line 2: start, end: of unknown unit; give offset and"),
        ("id,path,speaker,channel\na,b,c,left\n", "m.csv", "line 2: channel is 'left'; give a number from 0, or"),
        ("id,path,speaker,,\na,b,c,,d\n", "m.csv", "line 2: 'd' is in column 5, which has no name"),
        ("version https://git-lfs.github.com/spec/v1\n", "m.csv", "a Git LFS pointer, not the manifest"),
        ("id,path,speaker\na,{data_root}/b.wav,c\n", "m.csv", "line 2: {data_root} stands for a folder; set root"),
        ("id\tpath\tspeaker\na\tb\tc\n", "m.tsv", "line 1 is not a root folder"),
        ("/data\ns/a.wav\t10\ns/b.wav\n", "m.tsv", "not a path, a tab and a number of samples: line 3;"),
        ("/data\na.wav\t10\n", "m.tsv", "line 2: a.wav is in no folder that could name its speaker"),
    ],
)
def test_errors_name_the_problem_and_the_row(manifest, text, name, message):
    with pytest.raises(InputError) as error:
        manifest(text, name)
    assert message in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_manifest(tmp_path):
    with pytest.raises(InputError, match=r"nope\.csv: cannot read the manifest \(No such file or directory\)"):
        Manifest(str(tmp_path / "nope.csv")).table()
    with pytest.raises(InputError, match="directory"):
        Manifest(str(tmp_path)).table()


def test_usual_names_of_columns(manifest, tmp_path):
    table = manifest("file_name,transcription,speaker_id,member\na.wav,hello,7,True\nb.wav,bye,8,0.0\n")
    assert list(table) == ["id", "path", "speaker", "text", "member"]
    assert table["id"].tolist() == ["a.wav", "b.wav"]
    assert table["path"].tolist() == [str(tmp_path / "a.wav"), str(tmp_path / "b.wav")]
    assert table["speaker"].tolist() == ["7", "8"]
    assert table["text"].tolist() == ["hello", "bye"]
    assert table["member"].tolist() == ["1", "0"]
    ours = manifest("id,path,speaker,wav,spk_id\n1,a.wav,ann,b.wav,bob\n")
    assert ours.values.tolist() == [["1", str(tmp_path / "a.wav"), "ann"]]


def test_missing_values_of_json_are_missing(manifest):
    lines = '{"path": "a.wav", "speaker": "a", "text": NaN, "session": null, "duration": NaN, "member": NaN}\n'
    table = manifest(lines, "m.jsonl")
    assert table[["text", "session", "member"]].values.tolist() == [["", "", ""]]
    assert table["duration"].isna().all()


def test_columns_without_name_may_be_empty(manifest):
    table = manifest("id,path,speaker,,,\na,b.wav,c,,,\n")
    assert table["id"].tolist() == ["a"]


def test_paths_start_from_the_root(tmp_path):
    (tmp_path / "m.csv").write_text("id,path,speaker\na,b.wav,c\nd,/e.wav,f\n")
    table = Manifest(str(tmp_path / "m.csv"), root="/speech").table()
    assert table["path"].tolist() == ["/speech/b.wav", "/e.wav"]
