"""TED-LIUM (Rousseau et al., LREC 2012 and 2014; Hernandez et al., SPECOM 2018): talks cut into utterances."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
from tqdm import tqdm

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import Archive, absolute, check_names, open_published
from lightning_mia.corpora.formats.segments import clip_folder, clip_name, cut_clips, missing_clips
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import cache_root

NOT_SPOKEN = "ignore_time_segment_in_scoring"
"""What stands for the text of a segment without speech: applause, music, the pauses between segments."""

FEMALE, MALE = re.compile(r"female|f0_f", re.IGNORECASE), re.compile(r"male|f0_m", re.IGNORECASE)
YEAR = re.compile(r"_(19|20)\d\d[A-Z]*$")
NO_WORD = re.compile(r"<sil>|\(\d+\)|\([^ ]*\)$")
"""Marks of release 1 that are no words: silence, a variant of pronunciation, the segment's name at the end."""


@dataclass(frozen=True)
class Segment:
    """One line of an STM file."""

    recording: str
    speaker: str
    start: float  # seconds
    end: float
    gender: str  # female, male or ""
    text: str


def read_stm(path: Path) -> Iterator[Segment]:
    """Yield the spoken segments of a file, in its order.

    Raises:
        InputError: names the line that is none.
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
            what = f"line {number} is not a segment ({error})"
            raise InputError(f"{path}: {what}; restore it as it was published") from error
        if segment.text != NOT_SPOKEN:
            yield segment


def parse_segment(line: str) -> Segment:
    """Read a line: recording, channel, speaker, start, end, a label in angle brackets, text.

    >>> parse_segment("AlGore_2009 1 Al_Gore 23.46 40.05 <F0_M> but this")
    Segment(recording='AlGore_2009', speaker='AlGore', start=23.46, end=40.05, gender='male', text='but this')

    Raises:
        ValueError: it is not such a line.
    """
    recording, _, speaker, start, end, *rest = line.split()
    label = rest.pop(0) if rest and rest[0].startswith("<") and rest[0] != "<sil>" else ""
    seconds = float(start), float(end)
    if not 0 <= seconds[0] < seconds[1]:
        raise ValueError(f"from {start} s to {end} s")
    gender = "female" if FEMALE.search(label) else "male" if MALE.search(label) else ""
    text = " ".join(NO_WORD.sub(" ", " ".join(rest)).split())
    return Segment(recording, person(speaker), *seconds, gender, text)


def person(speaker: str) -> str:
    """Name the person: the training set names speakers by talk and year, and many gave several talks.

    >>> person("AlGore_2006"), person("Al_Gore"), person("AaronHuey_2010X")
    ('AlGore', 'AlGore', 'AaronHuey')
    """
    return YEAR.sub("", speaker).replace("_", "")


SPLITS = ("train", "dev", "test")
FOLDERS = {
    "release1": "TEDLIUM_release1/{split}",
    "release2": "TEDLIUM_release2/{split}",
    "release3": "TEDLIUM_release-3/legacy/{split}",
}
RELEASE3_TRAIN = "TEDLIUM_release-3/data"


class TEDLIUM(Corpus):
    """Splits of TED-LIUM: speaker, talk (as `session`), text, duration and, where published, gender.

    The publisher has whole talks and lists of segments. Each segment becomes a FLAC file in the cache, written once:
    about as much again as the talks take. A speaker is a person, whatever the talk; pauses and applause are left out.
    """

    def __init__(
        self,
        root: str,
        splits: Sequence[str] = ("train",),
        release: Literal["release1", "release2", "release3"] = "release3",
        download: bool = False,
        cache_dir: str | None = None,
    ) -> None:
        """Name the folder, the splits and the release.

        Args:
            root: the folder that holds (or, with `download`, gets) `TEDLIUM_release-3` or its like.
            splits: any of train, dev and test; of release 3, the repartition that is called legacy.
            release: release1 (118 hours), release2 (207) or release3 (452).
            download: fetch the archive of all splits (21, 35 or 54 GB) where it is not there.
            cache_dir: folder to keep the utterances in; default: `clips/tedlium` in the cache of lightning_mia.
        """
        self.root = root
        self.splits = splits
        self.release = release
        self.download = download
        self.cache_dir = cache_dir

    def table(self) -> pd.DataFrame:
        """Read the lists of segments and cut what no earlier run has cut.

        Raises:
            InputError: the talks or lists are missing or faulty, or the cache cannot be written to.
        """
        check_names("TED-LIUM release", [self.release], FOLDERS)
        check_names("TED-LIUM split", self.splits, SPLITS)
        talks: dict[Path, list[Segment]] = {}
        for folder in [self._folder(split) for split in dict.fromkeys(self.splits)]:
            for path in sorted((folder / "stm").glob("*.stm")):
                for segment in read_stm(path):  # the recording is nearly always named like the list
                    talks.setdefault(folder / "sph" / f"{segment.recording}.sph", []).append(segment)
        clips = self._cut(talks)
        rows = [_row(segment, clips[talk]) for talk, segments in talks.items() for segment in segments]
        table = pd.DataFrame(rows)
        if rows and not (table["gender"] != "").any():
            table = table.drop(columns="gender")
        return check_table(table, f"TED-LIUM in {self.root}")

    def _folder(self, split: str) -> Path:
        """Open one split and return the folder that holds its `stm` and `sph`."""
        from torchaudio import datasets

        root, config = absolute(self.root), datasets.tedlium._RELEASE_CONFIGS[self.release]
        train3 = self.release == "release3" and split == "train"
        folder = root / (RELEASE3_TRAIN if train3 else FOLDERS[self.release].format(split=split))
        open_published(
            lambda: datasets.TEDLIUM(root, self.release, split, download=self.download),
            Archive(root / Path(config["url"]).name, root / config["folder_in_archive"], config["checksum"]),
            download=self.download,
            holds=config["folder_in_archive"],
            needed=folder,
        )
        return folder

    def _cut(self, talks: dict[Path, list[Segment]]) -> dict[Path, Path]:
        """Cut the missing clips; return the folder of each talk's."""
        absent = [str(talk) for talk in talks if not talk.is_file()]
        if absent:
            what = f"{len(absent)} of {len(talks)} talks are missing: {list_first(absent)}"
            raise InputError(f"TED-LIUM in {self.root}: {what}; restore them as they were published")
        cache_dir = absolute(self.cache_dir) if self.cache_dir else cache_root().absolute() / "clips" / "tedlium"
        folders = {talk: clip_folder(talk, cache_dir) for talk in talks}
        missing = {talk: missing_clips(folders[talk], list(map(_span, segments))) for talk, segments in talks.items()}
        missing = {talk: spans for talk, spans in missing.items() if spans}
        for talk, spans in tqdm(missing.items(), desc="Cutting talks", unit="talk", disable=not missing):
            cut_clips(talk, spans, folders[talk])
        return folders


def _span(segment: Segment) -> tuple[float, float]:
    return segment.start, segment.end


def _row(segment: Segment, folder: Path) -> dict[str, str | float]:
    name = clip_name(_span(segment))
    return {
        "id": f"{segment.recording}-{Path(name).stem}",
        "path": str(folder / name),
        "speaker": segment.speaker,
        "text": segment.text,
        "duration": round(segment.end - segment.start, 3),
        "session": segment.recording,
        "gender": segment.gender,
    }
