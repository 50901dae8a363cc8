"""CMU Arctic (Kominek and Black, 2003): phonetically balanced sentences, most of them read by every speaker."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import (
    Archive,
    absolute,
    as_published,
    check_names,
    open_published,
    published_at,
)
from lightning_mia.corpora.formats.speaker_metadata import add_facts

GENDERS = {
    **dict.fromkeys(("aew", "awb", "bdl", "jmk", "ksp", "rms"), "male"),
    **dict.fromkeys(("clb", "eey", "ljm", "lnh", "slt"), "female"),
}
ACCENTS = {
    **dict.fromkeys(("aew", "bdl", "clb", "eey", "ljm", "lnh", "rms", "slt"), "US"),
    "awb": "Scottish",
    "jmk": "Canadian",
    "ksp": "Indian",
}
"""As festvox.org/cmu_arctic describes its speakers, where that could be confirmed."""

SPEAKERS = (
    *("aew", "ahw", "aup", "awb", "axb", "bdl", "clb", "eey", "fem"),
    *("gka", "jmk", "ksp", "ljm", "lnh", "rms", "rxr", "slp", "slt"),
)

PROMPT = re.compile(r'\(\s*(\S+)\s+"(.*)"\s*\)')
"""A line of `txt.done.data`: `( arctic_a0001 "Author of the danger trail, Philip Steels, etc." )`."""


class CMUArctic(Corpus):
    """Speakers of CMU Arctic: speaker and text; gender and accent of eleven of the eighteen."""

    def __init__(self, root: str, speakers: Sequence[str] = SPEAKERS, download: bool = False) -> None:
        """Name the folder and the speakers.

        Args:
            root: the folder that holds (or, with `download`, gets) `ARCTIC/cmu_us_aew_arctic/…`.
            speakers: any of aew, ahw, aup, awb, axb, bdl, clb, eey, fem, gka, jmk, ksp, ljm, lnh, rms, rxr, slp
                and slt.
            download: fetch the speakers that are not there (about 0.1 GB each).
        """
        self.root = root
        self.speakers = speakers
        self.download = download

    def table(self) -> pd.DataFrame:
        """Read the lists of prompts; whether the recordings exist is found out when they are decoded."""
        check_names("CMU Arctic speaker", self.speakers, SPEAKERS)
        rows = [row for speaker in dict.fromkeys(self.speakers) for row in self._rows(speaker)]
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "text"])
        add_facts(table, "gender", GENDERS)
        add_facts(table, "accent", ACCENTS)
        return check_table(table, f"CMU Arctic in {self.root}")

    def _rows(self, speaker: str) -> list[tuple[str, str, str, str]]:
        from torchaudio.datasets import CMUARCTIC, cmuarctic

        root, name = absolute(self.root), f"cmu_us_{speaker}_arctic"
        archive = f"{name}.tar.bz2"
        folder = root / "ARCTIC" / name
        # By the full address: the one that torchaudio makes of "aew" is not in its own table of checksums.
        url, sha256 = published_at(cmuarctic._CHECKSUMS, archive)
        open_published(
            lambda: CMUARCTIC(root, url, download=self.download),
            Archive(root / "ARCTIC" / archive, folder, sha256),
            download=self.download,
            holds=f"ARCTIC/{name}",
        )
        with as_published(folder):
            prompts = dict(_prompts(folder / "etc" / "txt.done.data"))
        recordings = folder / "wav"
        return [(f"{speaker}/{key}", str(recordings / f"{key}.wav"), speaker, text) for key, text in prompts.items()]


def _prompts(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        prompt = PROMPT.fullmatch(line.strip())
        if prompt:
            yield prompt[1], prompt[2].replace('\\"', '"')
        elif line.strip():
            raise ValueError(f"line {number} of {path.name} is not a prompt")
