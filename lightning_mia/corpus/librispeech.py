"""LibriSpeech (Panayotov et al., ICASSP 2015) by way of torchaudio's data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from lightning_mia.corpus.table import Corpus, check_table
from lightning_mia.errors import InputError

if TYPE_CHECKING:
    from torchaudio.datasets import LIBRISPEECH

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
    """Splits of LibriSpeech: speaker, chapter (as `session`) and transcript of every recording."""

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
        """Read the layout and the transcripts; nothing is decoded."""
        unknown = [split for split in self.splits if split not in UTTERANCES]
        if unknown or not self.splits:
            what = f"unknown LibriSpeech split {', '.join(unknown)}" if unknown else "no LibriSpeech split"
            raise InputError(f"{what}; name some of {', '.join(UTTERANCES)}")
        rows = [row for split in dict.fromkeys(self.splits) for row in self._rows(split)]
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "text", "session"])
        return check_table(table, f"LibriSpeech in {self.root}")

    def _rows(self, split: str) -> list[tuple[str, str, str, str, str]]:
        data = self._open(split)
        folder = Path(self.root).expanduser().absolute() / "LibriSpeech"
        rows = []
        try:
            for n in range(len(data)):  # not data[n], which would decode the recording
                path, _, text, speaker, chapter, _ = data.get_metadata(n)
                rows.append((Path(path).stem, str(folder / path), str(speaker), text, str(chapter)))
        except (OSError, ValueError) as error:
            raise InputError(f"{folder / split}: {error}; restore the split as it was published") from error
        return rows

    def _open(self, split: str) -> "LIBRISPEECH":
        """Open one split, downloading it where asked to; refuse what a broken-off download left behind."""
        from torchaudio.datasets import LIBRISPEECH

        root = Path(self.root).expanduser()
        folder = root / "LibriSpeech" / split
        if not folder.is_dir() and not self.download:
            remedy = "set root to the folder that holds LibriSpeech, or download: true"
            raise InputError(f"{folder}: no such folder; {remedy}")
        try:
            if self.download:
                root.mkdir(parents=True, exist_ok=True)
            data = LIBRISPEECH(root, split, download=self.download)
        except (OSError, RuntimeError) as error:  # no network, a full disk, a wrong checksum
            raise InputError(f"{folder}: download failed ({error}); try again or fetch it by hand") from error
        if self.download and len(data) < UTTERANCES[split]:
            what = f"{len(data)} of {UTTERANCES[split]} recordings, as a broken-off download leaves them"
            remedy = "remove the folder and start again, or set download: false to use them as they are"
            raise InputError(f"{folder}: {what}; {remedy}")
        return data
