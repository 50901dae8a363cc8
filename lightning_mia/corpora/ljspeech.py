"""LJSpeech 1.1 (Ito and Johnson, 2017): seven books read by one speaker."""

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import Archive, absolute, as_published, open_published

SPEAKER = "LJ"


class LJSpeech(Corpus):
    """All of LJSpeech: one speaker, the chapter (as `session`) and the text, numbers and abbreviations spelled out.

    A split wants two speakers or more: LJSpeech is of use beside another corpus only.
    """

    def __init__(self, root: str, download: bool = False) -> None:
        """Name the folder.

        Args:
            root: the folder that holds (or, with `download`, gets) `LJSpeech-1.1`.
            download: fetch the archive (2.6 GB) where it is not there.
        """
        self.root = root
        self.download = download

    def table(self) -> pd.DataFrame:
        """Read `metadata.csv`; whether the recordings exist is found out when they are decoded."""
        from torchaudio.datasets import LJSPEECH, ljspeech

        root = absolute(self.root)
        folder = root / "LJSpeech-1.1"
        open_published(
            lambda: LJSPEECH(root, download=self.download),
            Archive(root / "LJSpeech-1.1.tar.bz2", folder, ljspeech._RELEASE_CONFIGS["release1"]["checksum"]),
            download=self.download,
            holds="LJSpeech-1.1",
            needed=folder / "wavs",
        )
        rows = []
        with as_published(folder / "metadata.csv"):
            for line in (folder / "metadata.csv").read_text(encoding="utf-8").splitlines():
                name, _, text = line.split("|")  # the text as printed, then as spoken
                rows.append((name, str(folder / "wavs" / f"{name}.wav"), SPEAKER, text, name.partition("-")[0]))
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "text", "session"])
        return check_table(table, f"LJSpeech in {self.root}")
