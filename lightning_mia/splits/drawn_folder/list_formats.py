"""Training lists in the formats of other trainers.

A format turns entries into files of one line each, once for all models: a model's list holds the lines of its entries.
"""

import csv
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as quote
from typing import Literal, get_args

import pandas as pd

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.utilities.errors import InputError, list_first

Format = Literal["csv", "nemo", "fairseq", "kaldi", "huggingface"]

FORMATS: tuple[Format, ...] = get_args(Format)

SEGMENT = re.compile(r":\d+:\d+$")
"""End of a path that fairseq takes for a part of a file."""


@dataclass(frozen=True)
class ListFile:
    """One file of a training list.

    Attributes:
        name: path below `train`, with `{}` for the name of the model.
        header: first line, or "".
        lines: (entries,) lines, each with its line break.
    """

    name: str
    header: str
    lines: Sequence[str]


def list_files(entries: pd.DataFrame, chosen: Sequence[Format]) -> Iterator[ListFile]:
    """Yield the files of all formats.

    Args:
        entries: one row for each line, sorted by id: `id`, `path`, `speaker`, `duration` (seconds), `n_samples` at
            16 kHz, `source_rate` (Hz), and `text` if the corpus has transcripts.
        chosen: formats.

    Raises:
        InputError: a format cannot hold an id, a speaker or a path, or lacks transcripts.
    """
    for name in FORMATS:
        if name in chosen:
            yield from _WRITERS[name](entries)


def parse_formats(text: str) -> list[Format]:
    """Parse names separated by commas.

    Raises:
        InputError: an unknown name, or none.

    >>> parse_formats("csv,nemo")
    ['csv', 'nemo']
    """
    names = [name.strip(" '\"") for name in text.strip("[] ").split(",") if name.strip()]
    if unknown := [name for name in names if name not in FORMATS]:
        raise InputError(f"--formats: unknown format {list_first(unknown)}; give some of {','.join(FORMATS)}")
    if not names:
        raise InputError(f"--formats names no format; give some of {','.join(FORMATS)}")
    return [name for name in FORMATS if name in names]


def _csv(entries: pd.DataFrame) -> list[ListFile]:
    """CSV: `id,path,speaker,duration[,text]`, as `Manifest` reads it."""
    names = ["id", "path", "speaker", "duration", *(["text"] if "text" in entries else [])]
    return [ListFile("{}.csv", ",".join(names) + "\n", _csv_lines(entries, names))]


def _huggingface(entries: pd.DataFrame) -> list[ListFile]:
    """Hugging Face: `metadata.csv` with absolute paths."""
    columns = {"path": "file_name", "id": "id", "speaker": "speaker", "duration": "duration"}
    columns |= {"text": "transcription"} if "text" in entries else {}
    return [
        ListFile("{}.huggingface/metadata.csv", ",".join(columns.values()) + "\n", _csv_lines(entries, list(columns)))
    ]


def _nemo(entries: pd.DataFrame) -> list[ListFile]:
    """NeMo: JSON Lines with `audio_filepath`, `duration` and `text`."""
    texts = entries["text"] if "text" in entries else [""] * len(entries)
    columns = (entries["path"], entries["duration"], texts, entries["speaker"], entries["id"])
    template = '{{"audio_filepath": {}, "duration": {}, "text": {}, "speaker": {}, "id": {}}}\n'.format
    cells = [
        [quote(value) if isinstance(value, str) else repr(value) for value in column] for column in map(list, columns)
    ]
    lines = [template(*values) for values in zip(*cells, strict=True)]
    return [ListFile("{}.jsonl", "", lines)]


def _fairseq(entries: pd.DataFrame) -> list[ListFile]:
    """fairseq: TSV of a root folder, relative paths and samples; letters and words if there are transcripts."""
    paths = entries["path"].tolist()
    if segments := [path for path in paths if SEGMENT.search(path)]:
        raise InputError(
            f"fairseq reads paths that end with two numbers as parts of files: {list_first(segments)}; rename them, or "
            "leave fairseq out of --formats"
        )
    root = os.path.commonpath({os.path.dirname(path) for path in paths})
    frames = (entries["n_samples"] * entries["source_rate"] / SAMPLE_RATE).round().astype(int).tolist()
    start = len(root.rstrip("/")) + 1
    lines = [f"{path[start:]}\t{n}\n" for path, n in zip(paths, frames, strict=True)]
    files = [ListFile("{}.tsv", f"{root}\n", lines)]
    if (texts := _transcripts(entries, "fairseq")) is not None:
        letters = [" ".join(text.replace(" ", "|")) + " |\n" for text in texts]
        files += [ListFile("{}.wrd", "", [f"{text}\n" for text in texts]), ListFile("{}.ltr", "", letters)]
    return files


def _kaldi(entries: pd.DataFrame) -> list[ListFile]:
    """Kaldi: `wav.scp`, `utt2spk`, and `text` if there are transcripts."""
    ids, speakers, paths = (entries[name].tolist() for name in ("id", "speaker", "path"))
    spaced = [name for name in dict.fromkeys([*ids, *speakers]) if re.search(r"\s", name)]
    commands = [path for path in paths if path.endswith("|") or re.search(r"\.ark:\d+$", path)]
    if spaced or commands:
        what = "ids and speakers without spaces" if spaced else "paths that are no commands or archives"
        named = list_first([repr(name) for name in spaced or commands])
        raise InputError(f"Kaldi needs {what}, but there are {named}; rename them, or leave kaldi out of --formats")
    columns = {"wav.scp": paths, "utt2spk": speakers}
    if (texts := _transcripts(entries, "Kaldi")) is not None:
        columns["text"] = texts
    return [
        ListFile(f"{{}}.kaldi/{name}", "", [f"{key} {value}\n" for key, value in zip(ids, values, strict=True)])
        for name, values in columns.items()
    ]


_WRITERS: Mapping[Format, Callable[[pd.DataFrame], list[ListFile]]] = {
    "csv": _csv,
    "nemo": _nemo,
    "fairseq": _fairseq,
    "kaldi": _kaldi,
    "huggingface": _huggingface,
}


def _csv_lines(entries: pd.DataFrame, names: Sequence[str]) -> list[str]:
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerows(zip(*(entries[name].tolist() for name in names), strict=True))
    return [f"{line}\n" for line in output.getvalue().split("\n")[:-1]]


def _transcripts(entries: pd.DataFrame, trainer: str) -> list[str] | None:
    """Return the transcripts; None if there are none.

    Raises:
        InputError: some recordings have none, and the trainer would leave these out or learn them as silent.
    """
    if "text" not in entries or not (entries["text"] != "").any():
        return None
    if missing := entries["id"][entries["text"] == ""].tolist():
        raise InputError(
            f"{trainer} needs transcripts of all recordings or of none, but {len(missing)} of {len(entries)} lack one: "
            f"{list_first(missing)}; add them, drop the column text, or leave {trainer.lower()} out of --formats"
        )
    return list(entries["text"])
