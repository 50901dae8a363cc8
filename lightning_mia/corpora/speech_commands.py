"""Speech Commands (Warden, arXiv 1804.03209)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import (
    Archive,
    absolute,
    check_complete,
    check_names,
    layout_errors,
    published_folder,
)

SPLITS = ("training", "validation", "testing")
N_PUBLISHED = {"training": 84_843, "validation": 9_981, "testing": 11_005}
"""Number of published recordings of each split of v0.02, 105,829 in total."""

SHA256 = {
    "v0.01": "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
    "v0.02": "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
}
ARCHIVES = {
    version: Archive(
        f"http://download.tensorflow.org/data/speech_commands_{version}.tar.gz",
        sha256,
        unpacked_in=f"SpeechCommands/speech_commands_{version}",
    )
    for version, sha256 in SHA256.items()
}


class SpeechCommands(Corpus):
    """Speech Commands: single English words, CC BY 4.0.

    Thousands of speakers recorded clips of one second. Speakers are the publisher's hashes; the text is the word.
    Recordings of background noise are left out. No speaker is in two splits. Available at
    download.tensorflow.org/data/speech_commands_v0.02.tar.gz, or by `download`.

    Example:
        >>> corpus = SpeechCommands("corpora", splits=["testing"], version="v0.01")
        >>> corpus.splits, corpus.version
        (['testing'], 'v0.01')
    """

    def __init__(
        self,
        root: str,
        splits: Sequence[str] = SPLITS,
        version: Literal["v0.01", "v0.02"] = "v0.02",
        download: bool = False,
    ) -> None:
        """Specify the folder, the splits and the version.

        Args:
            root: folder that contains `SpeechCommands/speech_commands_v0.02/…`.
            splits: any of training, validation and testing, as the publisher divides the recordings.
            version: v0.01 (30 words) or v0.02 (35 words).
            download: download the archive (2.3 GB for v0.02) into `root` if it is missing.
        """
        self.root = root
        self.splits = splits
        self.version = version
        self.download = download

    def table(self) -> pd.DataFrame:
        """List the recordings of the splits, without decoding them."""
        check_names("Speech Commands version", [self.version], ARCHIVES)
        check_names("Speech Commands split", self.splits, SPLITS)
        rows = [row for split in dict.fromkeys(self.splits) for row in self._rows(split)]
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "text"])
        return check_table(table, f"Speech Commands in {self.root}")

    def _rows(self, split: str) -> list[tuple[str, str, str, str]]:
        from torchaudio.datasets import SPEECHCOMMANDS

        root, archive = absolute(self.root), ARCHIVES[self.version]
        folder = published_folder(root, archive.unpacked_in, archive, download=self.download)
        rows = []
        with layout_errors(folder):
            data = SPEECHCOMMANDS(root, folder.name, subset=split)
            for n in range(len(data)):
                path, _, word, speaker, _ = data.get_metadata(n)
                rows.append((f"{word}/{Path(path).stem}", str(folder.parent / path), speaker, word))
        if self.download and self.version == "v0.02":
            check_complete(len(rows), N_PUBLISHED[split], folder)
        return rows
