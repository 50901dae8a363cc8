"""A folder of audio files as a corpus."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table, ids_from_paths
from lightning_mia.utilities.errors import InputError, list_first

OTHER_SUFFIXES = {".aif", ".aifc", ".oga", ".opus", ".snd", ".sph"}
"""Further suffixes of formats that libsndfile lists under one name only."""


class Folder(Corpus):
    """Every audio file under a folder, at any depth, symbolic links followed and hidden files left out.

    The id is the path from the folder on, without suffix (with it, where two files would share an id).
    """

    def __init__(self, path: str, speaker_pattern: str | None = None) -> None:
        """Name the folder and the rule for speakers.

        Args:
            path: the folder.
            speaker_pattern: regular expression that is searched in the path from the folder on (with `/`);
                its group 1 is the speaker. By default the speaker is the folder that a file lies in.
        """
        self.path = path
        self.speaker_pattern = speaker_pattern

    def table(self) -> pd.DataFrame:
        """List the folder; nothing is decoded."""
        root = Path(os.path.abspath(os.path.expanduser(self.path)))
        if not root.is_dir():
            raise InputError(f"{self.path}: no such folder; check the path")
        files = sorted(_audio_files(root))
        if not files:
            raise InputError(f"{self.path}: no audio files under this folder; check the path")
        rows = {
            "id": ids_from_paths(files),
            "path": [str(root / file) for file in files],
            "speaker": self._speakers(files),
        }
        return check_table(pd.DataFrame(rows), self.path)

    def _speakers(self, files: list[PurePosixPath]) -> list[str]:
        if self.speaker_pattern is None:
            speakers = [file.parent.name for file in files]
            what, remedy = "are in no speaker's folder", "move them into one or give a speaker_pattern"
        else:
            matches = [_compile(self.speaker_pattern).search(file.as_posix()) for file in files]
            speakers = [(match[1] or "") if match else "" for match in matches]
            what, remedy = f"do not match speaker_pattern {self.speaker_pattern!r}", "correct the pattern"
        without = [file.as_posix() for file, speaker in zip(files, speakers, strict=True) if not speaker]
        if without:
            named = list_first(without)
            raise InputError(f"{self.path}: {len(without)} of {len(files)} files {what}: {named}; {remedy}")
        return speakers


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        what = f"speaker_pattern {pattern!r} is not a regular expression"
        raise InputError(f"{what}: {error}; correct it") from error
    if compiled.groups < 1:
        raise InputError(f"speaker_pattern {pattern!r} has no group; put the speaker's part in parentheses")
    return compiled


def _audio_files(root: Path) -> Iterator[PurePosixPath]:
    """Yield the paths, from `root` on, of files with a suffix that libsndfile can read."""
    import soundfile

    suffixes = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw"} | OTHER_SUFFIXES
    seen: set[str] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link to where we have been
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        inside = PurePosixPath(Path(folder).relative_to(root).as_posix())
        for name in names:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes:
                yield inside / name
