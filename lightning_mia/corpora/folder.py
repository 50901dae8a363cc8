"""Folders of audio files."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from lightning_mia.corpora.audio.external import SUFFIXES as EXTERNAL_SUFFIXES
from lightning_mia.corpora.base import Corpus, check_table, ids_from_paths
from lightning_mia.corpora.formats.text import has_surrogates, printable
from lightning_mia.utilities.errors import InputError, list_first

OTHER_SUFFIXES = {".aif", ".aifc", ".oga", ".opus", ".snd", ".sph"}
"""Suffixes that libsndfile reads but does not list."""

VIDEO_SUFFIXES = {".avi", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"}
"""Suffixes of files that may hold the same speech as an audio file beside them."""

logger = logging.getLogger(__name__)


class Folder(Corpus):
    """All audio files under a folder, at any depth.

    Symbolic links are followed, hidden files are skipped. Formats that cannot be decoded (AAC, WebM … without ffmpeg)
    are listed too: they are errors, or omitted and reported by `on_bad_audio: skip`. The id is the path relative to
    the folder, without suffix unless ids would collide. The speaker is the name of the file's folder, or a part of its
    path.

    Example:
        >>> import soundfile, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("ann_1", "bob_1"):
        ...         soundfile.write(f"{folder}/{name}.wav", [0.1, -0.1], 16_000)
        ...     Folder(folder, speaker_pattern="([a-z]+)_").table()[["id", "speaker"]].values.tolist()
        [['ann_1', 'ann'], ['bob_1', 'bob']]
    """

    def __init__(self, path: str, speaker_pattern: str | None = None) -> None:
        """Specify the folder and the rule for speakers.

        Args:
            path: folder of the recordings.
            speaker_pattern: regular expression searched in the path relative to the folder (with `/`); its group 1 is
                the speaker. Default: the name of the file's folder.
        """
        self.path = path
        self.speaker_pattern = speaker_pattern

    def table(self) -> pd.DataFrame:
        """List the audio files, without decoding them."""
        root = Path(os.path.abspath(os.path.expanduser(self.path)))
        if not root.is_dir():
            raise InputError(f"{self.path}: no such folder; check the path")
        present = sorted(_files(root))
        files = [file for file in present if file.suffix.lower() in _audio_suffixes()]
        if not files:
            raise InputError(f"{self.path}: no audio files under this folder; check the path")
        videos = Counter(file.suffix.lower() for file in present if file.suffix.lower() in VIDEO_SUFFIXES)
        if videos:
            named = ", ".join(f"{n} {suffix}" for suffix, n in sorted(videos.items()))
            logger.warning("%s: videos are not read (%s); extract their audio if it is needed", self.path, named)
        unnamed = [printable(file.as_posix()) for file in files if has_surrogates(file.as_posix())]
        if unnamed:
            problem = f"{len(unnamed)} of {len(files)} files have names that are not UTF-8: {list_first(unnamed)}"
            raise InputError(f"{self.path}: {problem}; rename them, for example with convmv")
        rows = {
            "id": ids_from_paths(files),
            "path": [str(root / file) for file in files],
            "speaker": self._speakers(files),
        }
        return check_table(pd.DataFrame(rows), self.path)

    def _speakers(self, files: list[PurePosixPath]) -> list[str]:
        if self.speaker_pattern is None:
            speakers = [file.parent.name for file in files]
            problem, remedy = "are not in a speaker's folder", "move them into one or give a speaker_pattern"
        else:
            matches = [_compile(self.speaker_pattern).search(file.as_posix()) for file in files]
            speakers = [(match[1] or "") if match else "" for match in matches]
            problem, remedy = f"do not match speaker_pattern {self.speaker_pattern!r}", "correct the pattern"
        unassigned = [file.as_posix() for file, speaker in zip(files, speakers, strict=True) if not speaker]
        if unassigned:
            named = list_first(unassigned)
            raise InputError(f"{self.path}: {len(unassigned)} of {len(files)} files {problem}: {named}; {remedy}")
        return speakers


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"speaker_pattern {pattern!r} is not a regular expression: {error}; correct it") from error
    if compiled.groups < 1:
        raise InputError(f"speaker_pattern {pattern!r} has no group; put the speaker's part in parentheses")
    return compiled


def _audio_suffixes() -> set[str]:
    import soundfile

    listed = {f".{name.lower()}" for name in soundfile.available_formats()}
    return listed | OTHER_SUFFIXES | EXTERNAL_SUFFIXES


def _files(root: Path) -> Iterator[PurePosixPath]:
    """Yield the relative paths of all files."""
    seen: set[str] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link back to a visited folder
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        relative = PurePosixPath(Path(folder).relative_to(root).as_posix())
        for name in names:
            if not name.startswith("."):
                yield relative / name
