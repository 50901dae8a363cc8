"""NIST's segment time marks (STM), in which TED-LIUM says who speaks from when to when, and what."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lightning_mia.errors import InputError

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
