"""TED-LIUM (Rousseau et al., 2012, 2014; Hernandez et al., 2018)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import Archive, absolute, check_names, published_folder
from lightning_mia.corpora.formats.segments import (
    Span,
    cut_segments,
    missing_segments,
    recording_seconds,
    segment_folder,
    segment_name,
)
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import cache_root
from lightning_mia.utilities.progress_bar import tqdm

ARCHIVES = {
    "release1": Archive(
        "http://www.openslr.org/resources/7/TEDLIUM_release1.tar.gz",
        "30301975fd8c5cac4040c261c0852f57cfa8adbbad2ce78e77e4986957445f27",
    ),
    "release2": Archive(
        "http://www.openslr.org/resources/19/TEDLIUM_release2.tar.gz",
        "93281b5fcaaae5c88671c9d000b443cb3c7ea3499ad12010b3934ca41a7b9c58",
    ),
    "release3": Archive(
        "http://www.openslr.org/resources/51/TEDLIUM_release-3.tgz",
        "ad1e454d14d1ad550bc2564c462d87c7a7ec83d4dc2b9210f22ab4973b9eccdb",
    ),
}
SPLITS = ("train", "dev", "test")
FOLDERS = {
    "release1": "TEDLIUM_release1/{split}",
    "release2": "TEDLIUM_release2/{split}",
    "release3": "TEDLIUM_release-3/legacy/{split}",
}
RELEASE3_TRAIN = "TEDLIUM_release-3/data"

NON_SPEECH = "ignore_time_segment_in_scoring"
"""Text of segments without speech: applause, music, pauses between segments."""
FEMALE, MALE = re.compile(r"female|f0_f", re.IGNORECASE), re.compile(r"male|f0_m", re.IGNORECASE)
YEAR = re.compile(r"_(19|20)\d\d[A-Z]*$")
NO_WORD = re.compile(r"<sil>|\(\d+\)|\([^ ]*\)$")
"""Marks in the text of release 1: silence, number of a pronunciation variant, name of the segment at the end."""


class TEDLIUM(Corpus):
    """TED-LIUM: English TED talks with transcripts, CC BY-NC-ND 3.0.

    Sessions are the talks. A speaker has the same name in all talks. Gender is given if the release states it. The
    publisher provides whole talks and lists of segments: every spoken segment is cut once into a FLAC file in the
    cache, which takes about as much space as the talks. Available at openslr.org/7, /19 and /51, or by `download`.

    Example:
        >>> corpus = TEDLIUM("corpora", splits=["dev"], release="release2")
        >>> corpus.release
        'release2'
    """

    def __init__(
        self,
        root: str,
        splits: Sequence[str] = ("train",),
        release: Literal["release1", "release2", "release3"] = "release3",
        download: bool = False,
        cache_dir: str | None = None,
    ) -> None:
        """Specify the folder, the splits and the release.

        Args:
            root: folder that contains `TEDLIUM_release1`, `TEDLIUM_release2` or `TEDLIUM_release-3`.
            splits: any of train, dev and test (release 3: those of the legacy partition).
            release: release1 (118 hours), release2 (207) or release3 (452).
            download: download the archive of all splits (21, 35 or 54 GB) into `root` if it is missing.
            cache_dir: folder of the cut segments; default: `clips/tedlium` in the cache of lightning_mia.
        """
        self.root = root
        self.splits = splits
        self.release = release
        self.download = download
        self.cache_dir = cache_dir

    def table(self) -> pd.DataFrame:
        """Read the segment lists and cut the missing segments.

        Raises:
            InputError: talks or lists are missing or malformed, or the cache cannot be written.
        """
        check_names("TED-LIUM release", [self.release], FOLDERS)
        check_names("TED-LIUM split", self.splits, SPLITS)
        talks: dict[Path, list[Segment]] = {}
        for folder in [self._folder(split) for split in dict.fromkeys(self.splits)]:
            for path in sorted((folder / "stm").glob("*.stm")):
                for segment in read_stm(path):  # the recording nearly always has the name of the list
                    talks.setdefault(folder / "sph" / f"{segment.recording}.sph", []).append(segment)
        folders = self._cut(talks)
        rows = [
            segment.row(folders[talk], seconds)
            for talk, segments in talks.items()
            for seconds in [recording_seconds(talk)]
            for segment in segments
        ]
        table = pd.DataFrame(rows)
        if rows and not (table["gender"] != "").any():
            table = table.drop(columns="gender")
        return check_table(table, f"TED-LIUM in {self.root}")

    def _folder(self, split: str) -> Path:
        """Return the folder of a split."""
        release3_train = self.release == "release3" and split == "train"
        folder = RELEASE3_TRAIN if release3_train else FOLDERS[self.release].format(split=split)
        return published_folder(absolute(self.root), folder, ARCHIVES[self.release], download=self.download)

    def _cut(self, talks: "dict[Path, list[Segment]]") -> dict[Path, Path]:
        """Cut the missing segments; return each talk's folder."""
        absent = [str(talk) for talk in talks if not talk.is_file()]
        if absent:
            problem = f"{len(absent)} of {len(talks)} talks are missing: {list_first(absent)}"
            raise InputError(f"TED-LIUM in {self.root}: {problem}; restore them as they were published")
        cache_dir = absolute(self.cache_dir) if self.cache_dir else cache_root().absolute() / "clips" / "tedlium"
        folders = {talk: segment_folder(talk, cache_dir) for talk in talks}
        missing = {
            talk: missing_segments(folders[talk], [segment.span for segment in segments])
            for talk, segments in talks.items()
        }
        missing = {talk: spans for talk, spans in missing.items() if spans}
        for talk, spans in tqdm(missing.items(), desc="Cutting talks", unit="talk", disable=not missing):
            cut_segments(talk, spans, folders[talk])
        return folders


@dataclass(frozen=True)
class Segment:
    """One line of an STM file."""

    recording: str
    speaker: str
    start: float  # seconds
    end: float
    gender: str  # female, male or ""
    text: str

    @property
    def span(self) -> Span:
        """Start and end (seconds)."""
        return self.start, self.end

    def row(self, folder: Path, talk_seconds: float) -> dict[str, str | float]:
        """Return the segment's row of the utterance table.

        Published times may exceed the talk.
        """
        name = segment_name(self.span)
        return {
            "id": f"{self.recording}-{Path(name).stem}",
            "path": str(folder / name),
            "speaker": self.speaker,
            "text": self.text,
            "duration": round(min(self.end, talk_seconds) - self.start, 3),
            "session": self.recording,
            "gender": self.gender,
        }


def read_stm(path: Path) -> Iterator[Segment]:
    """Yield the spoken segments of an STM file.

    Raises:
        InputError: the file cannot be read, or a line is malformed.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); restore it as it was published") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(";;"):
            continue
        try:
            segment = parse_segment(line)
        except ValueError as error:
            problem = f"line {number} is not a segment ({error})"
            raise InputError(f"{path}: {problem}; restore it as it was published") from error
        if segment.text != NON_SPEECH:
            yield segment


def parse_segment(line: str) -> Segment:
    """Parse one line of an STM file.

    Its fields are recording, channel, speaker, start, end, label in angle brackets, text.

    >>> parse_segment("AlGore_2009 1 Al_Gore 23.46 40.05 <F0_M> but this")
    Segment(recording='AlGore_2009', speaker='AlGore', start=23.46, end=40.05, gender='male', text='but this')

    Raises:
        ValueError: the line is malformed.
    """
    recording, _, speaker, start, end, *rest = line.split()
    label = rest.pop(0) if rest and rest[0].startswith("<") and rest[0] != "<sil>" else ""
    seconds = float(start), float(end)
    if not 0 <= seconds[0] < seconds[1]:
        raise ValueError(f"from {start} s to {end} s")
    gender = "female" if FEMALE.search(label) else "male" if MALE.search(label) else ""
    text = " ".join(NO_WORD.sub(" ", " ".join(rest)).split())
    return Segment(recording, speaker_name(speaker), *seconds, gender, text)


def speaker_name(published: str) -> str:
    """Return the speaker's name without the year of the talk.

    >>> speaker_name("AlGore_2006"), speaker_name("Al_Gore"), speaker_name("AaronHuey_2010X")
    ('AlGore', 'AlGore', 'AaronHuey')
    """
    return YEAR.sub("", published).replace("_", "")
