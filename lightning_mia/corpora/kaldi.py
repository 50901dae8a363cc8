"""Data folders of Kaldi and ESPnet."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import absolute
from lightning_mia.corpora.formats.clips import Part, cut_parts
from lightning_mia.corpora.formats.json_manifests import read_text
from lightning_mia.corpora.formats.tables import normalise_gender
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import cache_root

ARCHIVE = re.compile(r"\.ark:\d+$")

CHANNELS = {"A": 0, "B": 1, "1": 0, "2": 1}
"""Channels in reco2file_and_channel, from 0: letters, or sph2pipe's numbers from 1."""


class Kaldi(Corpus):
    """A data folder of Kaldi: `wav.scp`, `utt2spk` and optional files.

    Read are also `segments`, `reco2file_and_channel`, `text` and `spk2gender`. Segments and channels are cut once into
    files of the cache. Commands in `wav.scp` are never run: those of `flac -cds FILE |`, `cat FILE |` and
    `sph2pipe … FILE |` are replaced by reading the file, others are refused.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "wav.scp").write_text("ann-1 /speech/ann1.wav\\n")
        ...     _ = (Path(folder) / "utt2spk").write_text("ann-1 ann\\n")
        ...     Kaldi(folder).table().values.tolist()
        [['ann-1', '/speech/ann1.wav', 'ann']]
    """

    def __init__(self, path: str, root: str | None = None, cache_dir: str | None = None) -> None:
        """Specify the folder.

        Args:
            path: folder that contains `wav.scp` and `utt2spk`.
            root: folder from which relative paths in `wav.scp` start; default: the working directory, as in Kaldi.
            cache_dir: folder of cut segments; default: `clips/kaldi` in the cache of lightning_mia.
        """
        self.path = path
        self.root = root
        self.cache_dir = cache_dir

    def table(self) -> pd.DataFrame:
        """Read the folder, and cut the missing segments.

        Raises:
            InputError: a file is missing or malformed, or a recording is a command that cannot be replaced.
        """
        folder = absolute(self.path)
        recordings = {name: self._recording(name, value) for name, value in _pairs(folder / "wav.scp").items()}
        utterances = list(self._utterances(folder, recordings))
        cache_dir = absolute(self.cache_dir) if self.cache_dir else cache_root().absolute() / "clips" / "kaldi"
        is_part = [part != Part() for _, _, part in utterances]
        requests = [
            (path, part, f"{self.path}: {name}")
            for (name, path, part), cut in zip(utterances, is_part, strict=True)
            if cut
        ]
        files = iter(cut_parts(requests, cache_dir))
        names = [name for name, _, _ in utterances]
        paths = [next(files) if cut else path for (_, path, _), cut in zip(utterances, is_part, strict=True)]
        table = pd.DataFrame({"id": names, "path": paths, **self._facts(folder, names)})
        return check_table(table, self.path)

    def _recording(self, name: str, value: str) -> tuple[str, Part]:
        """Return a recording's file, and the channel that its command selects."""
        path, channel = value, None
        if value.endswith("|"):
            path, channel = _file_of_command(value, f"{self.path}: {name} in wav.scp")
        if ARCHIVE.search(path):
            problem = "an archive of Kaldi's (.ark) is not read"
            raise InputError(f"{self.path}: {name} in wav.scp: {problem}; write its files with wav-copy")
        return str((absolute(self.root) if self.root else Path.cwd()) / Path(path).expanduser()), Part(channel=channel)

    def _utterances(self, folder: Path, recordings: dict[str, tuple[str, Part]]) -> Iterator[tuple[str, str, Part]]:
        """Yield name, recording and part of every utterance."""
        channels = _channels(folder / "reco2file_and_channel")
        recordings = {
            name: (path, Part(channel=channels.get(name, whole.channel))) for name, (path, whole) in recordings.items()
        }
        if not (folder / "segments").is_file():
            yield from ((name, path, whole) for name, (path, whole) in recordings.items())
            return
        for name, value in _pairs(folder / "segments").items():
            where = f"{folder / 'segments'}: {name}"
            recording, start, end = _segment(value, where)
            if recording not in recordings:
                raise InputError(f"{where}: no recording {recording!r} in wav.scp; add it")
            path, whole = recordings[recording]
            yield name, path, Part(start, None if end < 0 else end - start, channel=whole.channel)

    def _facts(self, folder: Path, names: list[str]) -> dict[str, list[Any]]:
        """Return speaker, and if listed, transcript and gender of every utterance."""
        speakers = _pairs(folder / "utt2spk")
        facts = {"speaker": [speakers.get(name, "") for name in names]}
        if (folder / "text").is_file():
            texts = _pairs(folder / "text")
            facts["text"] = [texts.get(name, "") for name in names]
        if (folder / "spk2gender").is_file():
            genders = _pairs(folder / "spk2gender")
            facts["gender"] = [normalise_gender(genders.get(speaker, "")) for speaker in facts["speaker"]]
        return facts


def _pairs(path: Path) -> dict[str, str]:
    """Read a file of lines with a name and a value.

    Raises:
        InputError: the file cannot be read, or names a line twice.
    """
    pairs: dict[str, str] = {}
    for number, line in enumerate(read_text(str(path)).split("\n"), start=1):
        name, _, value = line.strip().replace("\t", " ").partition(" ")
        if name in pairs:
            raise InputError(f"{path}: line {number} repeats {name!r}; remove one")
        if name:
            pairs[name] = value.strip()
    return pairs


def _segment(value: str, where: str) -> tuple[str, float, float]:
    """Parse recording, start and end (seconds; −1: to the end)."""
    try:
        recording, first, last = value.split()[:3]
        start, end = float(first), float(last)
    except ValueError as error:
        raise InputError(f"{where}: {value!r} is not a recording, a start and an end; correct it") from error
    if not (start >= 0 and (end > start or end == -1) and end < float("inf")):
        raise InputError(f"{where}: a segment from {first} s to {last} s; correct its times")
    return recording, start, end


def _channels(path: Path) -> dict[str, int]:
    """Read the channel of every recording, from 0."""
    if not path.is_file():
        return {}
    channels = {name: value.split()[-1] if value else "" for name, value in _pairs(path).items()}
    unknown = [f"{name} {channel}" for name, channel in channels.items() if channel not in CHANNELS]
    if unknown:
        raise InputError(f"{path}: no channel A, B, 1 or 2 in {unknown[0]!r}; correct it")
    return {name: CHANNELS[channel] for name, channel in channels.items()}


def _file_of_command(command: str, where: str) -> tuple[str, int | None]:
    """Return the file that a command decodes, and the channel it selects.

    Raises:
        InputError: the command does more than decode a file.
    """
    try:
        words = shlex.split(command.rstrip("| "))
    except ValueError:
        words = []
    program, *arguments = [words[0].rsplit("/", 1)[-1], *words[1:]] if words else [""]
    if program == "cat" and len(arguments) == 1:
        return arguments[0], None
    if program == "flac" and len(arguments) > 1 and set("".join(arguments[:-1])) <= set("-cds"):
        return arguments[-1], None
    sph2pipe = re.fullmatch(r"(?:(?:-f (?:wav|rif)|-p|-c (?P<channel>[12])) )*(?P<file>\S+)", " ".join(arguments))
    if program == "sph2pipe" and sph2pipe and not sph2pipe["file"].startswith("-"):
        return sph2pipe["file"], int(sph2pipe["channel"]) - 1 if sph2pipe["channel"] else None
    raise InputError(f"{where} is a command, which is not run: {command}; write its output to files")
