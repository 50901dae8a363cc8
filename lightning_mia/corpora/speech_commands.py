"""Speech Commands (Warden, arXiv 1804.03209): single words of one second by thousands of people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

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

SPLITS = ("training", "validation", "testing")
VERSIONS = ("v0.01", "v0.02")
UTTERANCES = {"training": 84_843, "validation": 9_981, "testing": 11_005}
"""Recordings in every split of v0.02, 105,829 altogether."""


class SpeechCommands(Corpus):
    """Splits of Speech Commands: speaker (by the publisher's hash) and text (the word).

    The files of background noise are left out. No speaker is in two splits.
    """

    def __init__(
        self,
        root: str,
        splits: Sequence[str] = SPLITS,
        version: Literal["v0.01", "v0.02"] = "v0.02",
        download: bool = False,
    ) -> None:
        """Name the folder, the splits and the version.

        Args:
            root: the folder that holds (or, with `download`, gets) `SpeechCommands/speech_commands_v0.02/…`.
            splits: any of training, validation and testing, as the publisher's lists divide the recordings.
            version: v0.01 (30 words) or v0.02 (35 words).
            download: fetch the archive (2.3 GB for v0.02) where it is not there.
        """
        self.root = root
        self.splits = splits
        self.version = version
        self.download = download

    def table(self) -> pd.DataFrame:
        """Read the layout and the lists; nothing is decoded."""
        check_names("Speech Commands version", [self.version], VERSIONS)
        check_names("Speech Commands split", self.splits, SPLITS)
        rows = [row for split in dict.fromkeys(self.splits) for row in self._rows(split)]
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "text"])
        return check_table(table, f"Speech Commands in {self.root}")

    def _rows(self, split: str) -> list[tuple[str, str, str, str]]:
        from torchaudio.datasets import SPEECHCOMMANDS, speechcommands

        root, name = absolute(self.root), f"speech_commands_{self.version}"
        folder = root / "SpeechCommands" / name
        archive = f"{name}.tar.gz"
        _, sha256 = published_at(speechcommands._CHECKSUMS, archive)
        data = open_published(
            lambda: SPEECHCOMMANDS(root, name, download=self.download, subset=split),
            Archive(root / archive, folder, sha256),
            download=self.download,
            holds=f"SpeechCommands/{name}",
        )
        if self.download and self.version == "v0.02":
            check_complete(len(data), UTTERANCES[split], folder)
        rows = []
        with as_published(folder):
            for n in range(len(data)):
                path, _, word, speaker, _ = data.get_metadata(n)
                rows.append((f"{word}/{Path(path).stem}", str(folder.parent / path), speaker, word))
        return rows
