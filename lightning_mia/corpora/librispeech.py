"""LibriSpeech (Panayotov et al., ICASSP 2015) by way of torchaudio's data set."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import (
    Archive,
    absolute,
    as_published,
    check_complete,
    check_names,
    open_published,
    published_at,
)
from lightning_mia.corpora.formats.speaker_metadata import add_facts, gender_of

UTTERANCES = {
    "dev-clean": 2_703,
    "dev-other": 2_864,
    "test-clean": 2_620,
    "test-other": 2_939,
    "train-clean-100": 28_539,
    "train-clean-360": 104_014,
    "train-other-500": 148_688,
}
"""Recordings in every split as published (openslr.org/12)."""


class LibriSpeech(Corpus):
    """Splits of LibriSpeech: speaker, chapter (as `session`), transcript and gender of every recording."""

    def __init__(self, root: str, splits: Sequence[str] = ("train-clean-100",), download: bool = False) -> None:
        """Name the folder and the splits.

        Args:
            root: the folder that holds (or, with `download`, gets) `LibriSpeech/train-clean-100/…`.
            splits: any of dev-clean, dev-other, test-clean, test-other, train-clean-100, train-clean-360 and
                train-other-500.
            download: fetch the splits that are not there (6.3 GB for train-clean-100).
        """
        self.root = root
        self.splits = splits
        self.download = download

    def table(self) -> pd.DataFrame:
        """Read the layout, the transcripts and the list of speakers; nothing is decoded."""
        check_names("LibriSpeech split", self.splits, UTTERANCES)
        rows = [row for split in dict.fromkeys(self.splits) for row in self._rows(split)]
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "text", "session"])
        add_facts(table, "gender", librispeech_genders(absolute(self.root)))
        return check_table(table, f"LibriSpeech in {self.root}")

    def _rows(self, split: str) -> list[tuple[str, str, str, str, str]]:
        from torchaudio.datasets import LIBRISPEECH, librispeech

        root = absolute(self.root)
        folder = root / "LibriSpeech"
        name = f"{split}.tar.gz"
        _, sha256 = published_at(librispeech._CHECKSUMS, name)
        data = open_published(
            lambda: LIBRISPEECH(root, split, download=self.download),
            Archive(root / name, folder / split, sha256),
            download=self.download,
            holds="LibriSpeech",
        )
        if self.download:
            check_complete(len(data), UTTERANCES[split], folder / split)
        rows = []
        with as_published(folder / split):
            for n in range(len(data)):  # not data[n], which would decode the recording
                path, _, text, speaker, chapter, _ = data.get_metadata(n)
                rows.append((Path(path).stem, str(folder / path), str(speaker), text, str(chapter)))
        return rows


def librispeech_genders(root: Path) -> dict[str, str]:
    """Read the gender of every speaker from `LibriSpeech/SPEAKERS.TXT`; {} where it is not there.

    Its lines are `19   | F | train-clean-100  | 25.19 | Kara Shallenberg`, comments begin with a semicolon.
    """
    path = root / "LibriSpeech" / "SPEAKERS.TXT"
    if not path.is_file():
        return {}
    with as_published(path):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()  # names, which we do not need
        fields = [line.split("|") for line in lines if line.strip() and not line.startswith(";")]
        return {speaker.strip(): gender_of(gender) for speaker, gender, *_ in fields}
