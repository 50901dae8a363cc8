"""LJSpeech 1.1 (Ito and Johnson, 2017)."""

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import Archive, absolute, layout_errors, published_folder

ARCHIVE = Archive(
    "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
    "be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
)
SPEAKER = "LJ"


class LJSpeech(Corpus):
    """LJSpeech: English audiobooks by one speaker, public domain.

    Sessions are the chapters. Transcripts have numbers and abbreviations spelled out. A split needs at least two
    speakers, so combine LJSpeech with another corpus (`TwoSources`). Available at keithito.com/LJ-Speech-Dataset,
    or by `download`.

    Example:
        >>> LJSpeech("corpora", download=True).download
        True
    """

    def __init__(self, root: str, download: bool = False) -> None:
        """Specify the folder.

        Args:
            root: folder that contains `LJSpeech-1.1`.
            download: download the archive (2.6 GB) into `root` if it is missing.
        """
        self.root = root
        self.download = download

    def table(self) -> pd.DataFrame:
        """List the recordings named by `metadata.csv`, without opening them."""
        folder = published_folder(absolute(self.root), "LJSpeech-1.1", ARCHIVE, download=self.download)
        rows = []
        with layout_errors(folder / "metadata.csv"):
            for line in (folder / "metadata.csv").read_text(encoding="utf-8").splitlines():
                name, _, text = line.split("|")  # the text as printed, then as spoken
                rows.append((name, str(folder / "wavs" / f"{name}.wav"), SPEAKER, text, name.partition("-")[0]))
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "text", "session"])
        return check_table(table, f"LJSpeech in {self.root}")
