"""Tests of Hugging Face data sets: saved, in files, streamed."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from lightning_mia.corpora import HuggingFaceDataset
from lightning_mia.corpora.audio.cache import decode
from lightning_mia.corpora.formats.named_files import is_inside
from lightning_mia.utilities.errors import InputError

datasets = pytest.importorskip("datasets")

N = 5
COLUMNS = {"text_column": "text", "gender_column": "gender", "accent_column": "accent", "session_column": "chapter"}


@pytest.fixture
def recordings(tree, tmp_path) -> list[Path]:
    """Write five short files, one of them an MP3."""
    flac = tree("librilight", tmp_path / "source").rglob("*.flac")
    wav = tree("fluent_speech_commands", tmp_path / "source").rglob("*-train.wav")
    mp3 = tree("common_voice", tmp_path / "source").rglob("*_1.mp3")
    return [*sorted(flac), *wav, *mp3]


@pytest.fixture
def rows(recordings):
    """Create a data set, with bytes and file names."""
    audio = [{"bytes": path.read_bytes(), "path": path.name} for path in recordings]
    columns = {
        "audio": audio,
        "speaker_id": [0, 1, 0, 1, 0],
        "text": ["one", None, "three", "four", "five"],
        "gender": ["F", "M", "F", "M", None],
        "accent": ["Fife", "", None, "Fife", "Fife"],
        "chapter": [7, 7, 8, 8, 8],
        "embedding": [[0.5] * 4] * N,
    }
    data = datasets.Dataset.from_dict(columns)
    data = data.cast_column("speaker_id", datasets.ClassLabel(names=["ann", "bob"]))
    return data.cast_column("audio", datasets.Audio())  # decoding it would require torchcodec


@pytest.fixture
def parquet(rows, tmp_path) -> Path:
    folder = tmp_path / "parquet"
    folder.mkdir()
    rows.select(range(3)).to_parquet(folder / "train-00000-of-00002.parquet")
    rows.select(range(3, N)).to_parquet(folder / "train-00001-of-00002.parquet")
    rows.select([0]).to_parquet(folder / "test-00000-of-00001.parquet")
    return folder


@pytest.fixture
def hub(parquet, monkeypatch) -> list[dict]:
    """Let `load_dataset("owner/name")` stream the Parquet files; yields its arguments."""
    load, requests = datasets.load_dataset, []

    def from_hub(path: str, *arguments: object, **options: object):
        requests.append({"path": path, **options})
        assert options["streaming"]
        return load(str(parquet), *arguments, **{**options, "revision": None})

    monkeypatch.setattr(datasets, "load_dataset", from_hub)
    return requests


def corpus(path: object, tmp_path: Path, **options: object) -> HuggingFaceDataset:
    return HuggingFaceDataset(str(path), cache_dir=str(tmp_path / "kept"), **options)


def error_of(data: HuggingFaceDataset) -> str:
    with pytest.raises(InputError) as error:
        data.table()
    assert "\n" not in str(error.value)
    return str(error.value)


def saved_alone(rows, parquet, tmp_path) -> Path:
    rows.save_to_disk(tmp_path / "alone")
    return tmp_path / "alone"


def saved_with_splits(rows, parquet, tmp_path) -> Path:
    datasets.DatasetDict(train=rows, test=rows.select([0])).save_to_disk(tmp_path / "dict")
    return tmp_path / "dict"


def in_parquet(rows, parquet, tmp_path) -> Path:
    return parquet


@pytest.mark.parametrize("source", [saved_alone, saved_with_splits, in_parquet])
def test_bytes_become_files(rows, parquet, recordings, tmp_path, source):
    table = corpus(source(rows, parquet, tmp_path), tmp_path, **COLUMNS).table()
    assert list(table) == ["id", "path", "speaker", "text", "session", "gender", "accent"]
    assert table["id"].tolist() == [f"train-{n:06d}" for n in range(N)]
    assert table["speaker"].tolist() == ["ann", "bob", "ann", "bob", "ann"]
    assert table["text"].tolist() == ["one", "", "three", "four", "five"]
    assert table["session"].tolist() == ["7", "7", "8", "8", "8"]
    assert table["gender"].tolist() == ["female", "male", "female", "male", ""]
    assert table["accent"].tolist() == ["Fife", "", "", "Fife", "Fife"]
    assert [Path(path).read_bytes() for path in table["path"]] == [path.read_bytes() for path in recordings]
    assert [Path(path).suffix for path in table["path"]] == [".flac", ".flac", ".flac", ".wav", ".mp3"]
    audio = decode(table, cache_dir=tmp_path / "cache", progress=False)
    assert len(audio.index) == N


def test_only_the_named_columns(parquet, tmp_path):
    table = corpus(parquet, tmp_path, split="test", speaker_column="text").table()
    assert table.drop(columns="path").to_dict("records") == [{"id": "test-000000", "speaker": "one"}]


def test_ids_of_the_data_set(parquet, tmp_path):
    assert corpus(parquet, tmp_path, id_column="text", limit=1).table()["id"].tolist() == ["one"]
    assert "empty id in 1 of 5 rows: row 2; fill it in" in error_of(corpus(parquet, tmp_path, id_column="text"))


def test_audio_folder_stays_where_it_is(recordings, tmp_path):
    folder = tmp_path / "audiofolder"
    folder.mkdir()
    names = [f"{n}{path.suffix}" for n, path in enumerate(recordings)]
    for path, name in zip(recordings, names, strict=True):
        shutil.copy(path, folder / name)
    lines = [f"{name},s{n % 2},text {n}\n" for n, name in enumerate(names)]
    (folder / "metadata.csv").write_text("file_name,who,transcription\n" + "".join(lines))
    table = corpus(folder, tmp_path, speaker_column="who", text_column="transcription").table()
    assert dict(zip(table["path"], table["text"], strict=True)) == {
        str(folder / name): f"text {n}" for n, name in enumerate(names)
    }
    assert not list((tmp_path / "kept").rglob("audio"))


def test_paths_in_json_lines(recordings, tmp_path):
    folder = tmp_path / "json"
    folder.mkdir()
    shutil.copy(recordings[0], folder / "a.flac")
    lines = [{"file": "a.flac", "who": 3}, {"file": str(recordings[1]), "who": 4}]
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = {"audio_column": "file", "speaker_column": "who"}
    table = corpus(folder, tmp_path, outside_files=True, **options).table()
    assert table["path"].tolist() == [str(folder / "a.flac"), str(recordings[1])]
    assert "outside the data set" in error_of(corpus(folder, tmp_path, **options))  # also from the cache
    assert table["speaker"].tolist() == ["3", "4"]


def test_files_within_an_archive(recordings, tmp_path):
    folder = tmp_path / "zipped"
    folder.mkdir()
    inside = tmp_path / "inside"
    inside.mkdir()
    shutil.copy(recordings[0], inside / "a.flac")
    packed = shutil.make_archive(str(folder / "packed"), "zip", inside)
    line = {"file": f"zip://a.flac::file://{packed}", "who": "x"}
    (folder / "train.jsonl").write_text(json.dumps(line) + "\n")
    table = corpus(folder, tmp_path, audio_column="file", speaker_column="who").table()
    assert Path(table["path"][0]).read_bytes() == recordings[0].read_bytes()
    (folder / "train.jsonl").write_text(json.dumps({**line, "file": f"zip://b.flac::file://{packed}"}) + "\n")
    assert "zip://b.flac" in error_of(corpus(folder, tmp_path, audio_column="file", speaker_column="who"))


@pytest.mark.parametrize(
    "path",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "../a.flac",
        "sub/../../a.flac",
        "link/a.flac",
        "http://127.0.0.1:1/a.flac",
        "zip://a.flac::http://127.0.0.1:1/a.zip",
        "zip://a.flac::file:///tmp/a.zip",
        "simplecache::http://127.0.0.1:1/a.flac",
    ],
)
def test_rows_cannot_name_files_outside_the_data_set(recordings, tmp_path, path):
    folder = tmp_path / "listed"
    folder.mkdir()
    shutil.copy(recordings[0], tmp_path / "a.flac")
    (folder / "link").symlink_to(tmp_path)
    (folder / "train.jsonl").write_text(json.dumps({"file": path, "who": "x"}) + "\n")
    message = error_of(corpus(folder, tmp_path, audio_column="file", speaker_column="who"))
    assert f"a row names {path!r}, outside the data set; set outside_files: true if you trust its author" in message


def test_rows_of_the_hub_name_only_files_of_their_data_set():
    inside = ["hf://datasets/ann/talks@1a2b/a.flac", "zip://a.flac::hf://datasets/ann/talks/a.zip"]
    outside = ["a.flac", "/a.flac", "hf://datasets/ann/talks2/a.flac", "hf://datasets/ann/talks/../other/a.flac"]
    assert all(is_inside(path, None, "ann/talks") for path in inside)
    assert not any(is_inside(path, None, "ann/talks") for path in outside)


def test_values_that_are_no_text_are_refused(parquet, tmp_path):
    message = error_of(corpus(parquet, tmp_path, speaker_column="embedding"))
    assert "row 0 of split train: column embedding holds a list, not text or a number; choose another" in message


def test_stream_with_a_limit(hub, tmp_path):
    table = corpus("owner/name", tmp_path, limit=2, revision="v1", **COLUMNS).table()
    assert table["text"].tolist() == ["one", ""]
    assert [request["path"] for request in hub] == ["owner/name"]
    assert hub[0]["revision"] == "v1"
    assert len(list((tmp_path / "kept").rglob("audio/*"))) == 2


def test_cached_recordings_need_no_network(hub, tmp_path):
    first = corpus("owner/name", tmp_path, limit=3).table()
    assert corpus("owner/name", tmp_path, limit=3).table().equals(first)
    assert corpus("owner/name", tmp_path, limit=1).table().equals(first[:1])
    assert len(hub) == 1
    complete = corpus("owner/name", tmp_path).table()  # continues after the third
    assert len(hub) == 2
    assert len(complete) == N
    assert complete[:3].equals(first)
    assert corpus("owner/name", tmp_path).table().equals(complete)
    assert corpus("owner/name", tmp_path, limit=100).table().equals(complete)  # the complete split
    assert len(hub) == 2


def test_an_interrupted_download_continues(hub, tmp_path, monkeypatch):
    from lightning_mia.corpora import huggingface

    write, written = huggingface._audio_file, []

    def fail_at_third(value: object, stem: Path, source: Path | None) -> str:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(stem.name)
        return write(value, stem, source)

    monkeypatch.setattr(huggingface, "_audio_file", fail_at_third)
    with pytest.raises(KeyboardInterrupt):
        corpus("owner/name", tmp_path).table()
    index = next((tmp_path / "kept").rglob("index.jsonl"))
    with open(index, "a") as file:
        file.write('{"id": "train-0000')  # as a kill in the middle of a line leaves it
    again = []
    monkeypatch.setattr(huggingface, "_audio_file", lambda *a: again.append(a[1].name) or write(*a))
    table = corpus("owner/name", tmp_path).table()
    assert table["id"].tolist() == [f"train-{n:06d}" for n in range(N)]
    assert again == ["000002", "000003", "000004"]


def test_a_missing_file_is_downloaded_again(hub, tmp_path):
    table = corpus("owner/name", tmp_path).table()
    before = {path: Path(path).read_bytes() for path in table["path"]}
    Path(table["path"][1]).unlink()
    assert corpus("owner/name", tmp_path).table().equals(table)
    assert {path: Path(path).read_bytes() for path in table["path"]} == before
    assert len(hub) == 2


def test_another_choice_of_columns_or_another_folder_is_another_corpus(rows, parquet, tmp_path):
    assert "text" not in corpus(parquet, tmp_path).table()
    assert "text" in corpus(parquet, tmp_path, text_column="text").table()
    rows.select([4]).to_parquet(parquet / "train-00001-of-00002.parquet")
    assert len(corpus(parquet, tmp_path).table()) == 4


def test_network_that_fails_in_the_middle(hub, tmp_path, monkeypatch):
    def broken(self: object, batch_size: int):
        raise ConnectionError("connection reset by peer")
        yield

    iterate = datasets.IterableDataset.iter
    monkeypatch.setattr(datasets.IterableDataset, "iter", broken)
    message = error_of(corpus("owner/name", tmp_path))
    assert "reading split train failed (connection reset by peer); run the same command again to resume" in message
    monkeypatch.setattr(datasets.IterableDataset, "iter", iterate)
    assert len(corpus("owner/name", tmp_path).table()) == N


def test_hub_that_cannot_be_reached(tmp_path, monkeypatch):
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach 'owner/name' on the Hub (LocalEntryNotFoundError)")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    message = error_of(corpus("owner/name", tmp_path))
    assert "owner/name: no local folder, and no data set available on the hub (Couldn't reach 'owner/name'" in message
    assert message.endswith("or give a folder written by save_to_disk")


@pytest.mark.parametrize("path", ["/nowhere/at/all", "./nowhere", "data/sets/nowhere"])
def test_missing_folder(path, tmp_path):
    assert f"{path}: no such folder" in error_of(corpus(path, tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "dev"}, "(Bad split: dev. Available splits: ['train', 'test']); check"),
        ({"config": "de"}, "(BuilderConfig 'de' not found. Available: ['default']); check"),
        ({"audio_column": "wav"}, "no column wav; found audio, speaker_id, text, gender, accent, chapter, embedding;"),
        ({"speaker_column": "who", "text_column": "said"}, "no column who, said; found audio, speaker_id"),
        ({"audio_column": "embedding"}, "row 0 of split train: column embedding holds neither bytes nor a path;"),
    ],
)
def test_errors_name_the_problem(parquet, tmp_path, options, message):
    assert message in error_of(corpus(parquet, tmp_path, **options))


def test_unknown_split_of_a_saved_data_set(rows, parquet, tmp_path):
    folder = saved_with_splits(rows, parquet, tmp_path)
    message = error_of(corpus(folder, tmp_path, split="dev"))
    assert message == f"unknown split of {folder} dev; choose from train, test"


def test_a_folder_that_is_no_data_set(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty: not a data set that can be opened (" in error_of(corpus(tmp_path / "empty", tmp_path))


def test_a_limit_that_is_not_positive_is_rejected():
    with pytest.raises(InputError, match="limit is 0: give 1 to 1,000,000"):
        HuggingFaceDataset("owner/name", limit=0)


def test_without_the_package(parquet, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "pip install datasets" in error_of(corpus(parquet, tmp_path))


def test_cache_that_cannot_be_written(parquet, tmp_path):
    (tmp_path / "kept").write_text("a file")
    assert "set cache_dir to another folder" in error_of(corpus(parquet, tmp_path))
