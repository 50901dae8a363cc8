"""Lists of other trainers, read back by the suite's own readers."""

from pathlib import Path

import pandas as pd
import pytest

from lightning_mia.corpora import HuggingFaceDataset, Kaldi, Manifest
from lightning_mia.splits import Split, UtteranceDesign
from lightning_mia.splits.drawn_folder.list_formats import FORMATS, parse_formats
from lightning_mia.splits.drawn_folder.training_lists import write_lists
from lightning_mia.utilities.errors import InputError


def make_recordings(folder: Path, **columns: str) -> pd.DataFrame:
    """Recordings of 4 speakers, with names that are hard to write."""
    rows = [
        {
            "id": f"s{speaker}-ü,{clip:02d}",
            "path": str(folder / f"s{speaker}" / f'clip "{clip:02d}".flac'),
            "speaker": f"p0{speaker}",
            "text": f"it’s clip {clip}, of 12",
            "duration": 0.5 + clip,
            "n_samples": 8000 + 16_000 * clip,
            "source_rate": 16_000,
        }
        for speaker in range(4)
        for clip in range(12)
    ]
    return pd.DataFrame(rows).assign(**columns).set_index("id")


def draw(recordings: pd.DataFrame, **options: object) -> Split:
    contents = {name: name for name in recordings.index}
    design = UtteranceDesign(24, 6, background=8, **options)
    return design.draw(recordings.reset_index()[["id", "speaker"]], contents, n_shadows=2)


def expected(recordings: pd.DataFrame, split: Split, model: str) -> list[tuple[str, ...]]:
    rows = recordings.loc[sorted(split.training_ids(model))].reset_index()
    return list(rows[["id", "path", "speaker", "text"]].itertuples(index=False, name=None))


def facts(table: pd.DataFrame) -> list[tuple[str, ...]]:
    return list(table.sort_values("id")[["id", "path", "speaker", "text"]].itertuples(index=False, name=None))


@pytest.mark.parametrize("model", ["target", "shadow_000", "shadow_001"])
def test_lists_hold_exactly_the_training_set_in_every_format(tmp_path: Path, model: str) -> None:
    recordings = make_recordings(tmp_path)
    split = draw(recordings)
    train = tmp_path / "train"
    hashes = write_lists(tmp_path, split, recordings, FORMATS)
    assert {tmp_path / name for name in hashes} == {path for path in train.rglob("*") if path.is_file()}
    rows = expected(recordings, split, model)
    assert len(rows) == 12 + 8
    hugging_face = HuggingFaceDataset(
        str(train / f"{model}.huggingface"),
        audio_column="file_name",
        speaker_column="speaker",
        text_column="transcription",
        id_column="id",
        outside_files=True,
    )
    readers = {
        "csv": Manifest(str(train / f"{model}.csv")),
        "nemo": Manifest(str(train / f"{model}.jsonl")),
        "kaldi": Kaldi(str(train / f"{model}.kaldi")),
        "metadata": Manifest(str(train / f"{model}.huggingface" / "metadata.csv")),
        "huggingface": hugging_face,
    }
    for name, corpus in readers.items():
        assert facts(corpus.table()) == rows, name


def test_fairseq_lists_the_same_files_with_their_samples_and_labels(tmp_path: Path) -> None:
    recordings = make_recordings(tmp_path, source_rate=48_000)
    split = draw(recordings)
    write_lists(tmp_path, split, recordings, ["fairseq"])
    root, *lines = (tmp_path / "train" / "target.tsv").read_text().splitlines()
    chosen = recordings.loc[sorted(split.training_ids())]
    assert [str(Path(root) / line.split("\t")[0]) for line in lines] == chosen["path"].to_list()
    assert [int(line.split("\t")[1]) for line in lines] == (3 * chosen["n_samples"]).to_list()
    words, letters = ((tmp_path / "train" / f"target.{end}").read_text().splitlines() for end in ("wrd", "ltr"))
    assert words == chosen["text"].to_list()
    assert letters[0] == "i t ’ s | c l i p | 0 , | o f | 1 2 |"
    table = Manifest(str(tmp_path / "train" / "target.tsv")).table()
    assert table["path"].to_list() == chosen["path"].to_list()


@pytest.mark.parametrize("name", FORMATS)
def test_lines_repeat_with_the_exposures(tmp_path: Path, name: str) -> None:
    recordings = make_recordings(tmp_path)
    split = draw(recordings, exposures=[1, 3])
    hashes = write_lists(tmp_path, split, recordings, [name])
    path = tmp_path / next(file for file in hashes if "target" in file)
    lines = path.read_text().splitlines()
    assert len(lines) - (name in ("csv", "fairseq", "huggingface")) == 6 + 3 * 6 + 8
    if name == "csv":
        table = Manifest(str(path)).table()
        assert table["path"].value_counts().value_counts().to_dict() == {1: 14, 3: 6}
        assert set(table["id"].str.extract(r"#(.*)")[0].dropna()) == {"2", "3"}


def test_kaldi_is_sorted_as_in_the_c_locale(tmp_path: Path) -> None:
    recordings = make_recordings(tmp_path)
    write_lists(tmp_path, draw(recordings, exposures=[1, 3]), recordings, ["kaldi"])
    for name in ("wav.scp", "utt2spk", "text"):
        keys = [line.split(b" ")[0] for line in (tmp_path / "train/target.kaldi" / name).read_bytes().splitlines()]
        assert keys == sorted(keys)


def test_without_transcripts_there_are_no_labels(tmp_path: Path) -> None:
    recordings = make_recordings(tmp_path).drop(columns="text")
    names = write_lists(tmp_path, draw(recordings), recordings, FORMATS)
    assert not [name for name in names if name.endswith(("text", ".wrd", ".ltr"))]
    assert '"text": ""' in (tmp_path / "train/target.jsonl").read_text()


@pytest.mark.parametrize(
    ("name", "column", "value", "message"),
    [
        ("kaldi", "speaker", "Ann Lee", r"Kaldi needs ids and speakers without spaces, but there are 'Ann Lee'"),
        ("kaldi", "path", "/a/b.wav |", "Kaldi needs paths that are no commands"),
        ("kaldi", "text", "", "Kaldi needs transcripts of all recordings or of none, but 1 of"),
        ("fairseq", "text", "", "fairseq needs transcripts of all recordings or of none"),
        ("fairseq", "path", "/a/b.wav:0:16000", "fairseq reads paths that end with two numbers"),
    ],
)
def test_what_a_format_cannot_hold_is_one_line(
    tmp_path: Path, name: str, column: str, value: str, message: str
) -> None:
    recordings = make_recordings(tmp_path)
    split = draw(recordings)
    recordings.loc[split.training_ids()[0], column] = value
    with pytest.raises(InputError, match=message):
        write_lists(tmp_path, split, recordings, [name])


def test_ids_like_those_of_repetitions_are_refused(tmp_path: Path) -> None:
    recordings = make_recordings(tmp_path)
    split = draw(recordings, exposures=[1, 3])
    name = split.table["id"][split.table["exposures"] == 3].iloc[0]
    other = split.background_ids()[0]
    table = split.table.replace({"id": {other: f"{name}#2"}}).sort_values("id")
    with pytest.raises(InputError, match="mark repetitions"):
        write_lists(tmp_path, Split(table, "utterance", drawn=True), recordings.rename({other: f"{name}#2"}), ["csv"])


def test_formats_are_named_in_any_way() -> None:
    assert parse_formats("nemo, csv") == parse_formats("[csv, nemo]") == ["csv", "nemo"]
    with pytest.raises(InputError, match="unknown format nemmo"):
        parse_formats("csv,nemmo")
    with pytest.raises(InputError, match="names no format"):
        parse_formats("")
