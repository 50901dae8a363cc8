"""Libri-light's limited-supervision training sets (Kahn et al., ICASSP 2020)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import Archive, absolute, check_names, layout_errors, published_folder
from lightning_mia.corpora.formats.tables import add_speaker_column
from lightning_mia.corpora.librispeech import librispeech_genders

ARCHIVE = Archive(
    "https://dl.fbaipublicfiles.com/librilight/data/librispeech_finetuning.tgz",
    "5d1efdc777b548194d7e09ba89126e2188026df9fd57aa57eb14408d2b2342af",
)
FOLDERS = {"10min": ["1h/0"], "1h": ["1h/*"], "10h": ["1h/*", "9h"]}
"""Folders of each set; inside are `clean` or `other`, then folders of speakers and chapters."""


class LibriLightLimited(Corpus):
    """Libri-light's labelled subsets of LibriSpeech, CC BY 4.0.

    Speakers are the readers, sessions the chapters. The smaller sets are subsets of the larger ones. Gender is read
    from `LibriSpeech/SPEAKERS.TXT` if LibriSpeech is in the same folder.

    Example:
        >>> LibriLightLimited("corpora", split="1h").split
        '1h'
    """

    def __init__(self, root: str, split: Literal["10min", "1h", "10h"] = "10min", download: bool = False) -> None:
        """Specify the folder and the set.

        Args:
            root: folder that contains `librispeech_finetuning`.
            split: 10min, 1h or 10h.
            download: download the archive of all three sets (0.6 GB) into `root` if it is missing.
        """
        self.root = root
        self.split = split
        self.download = download

    def table(self) -> pd.DataFrame:
        """List the recordings with transcripts, without decoding them."""
        check_names("Libri-light split", [self.split], FOLDERS)
        root = absolute(self.root)
        folder = published_folder(root, "librispeech_finetuning", ARCHIVE, download=self.download)
        with layout_errors(folder):
            chapters = [path for pattern in FOLDERS[self.split] for path in sorted(folder.glob(f"{pattern}/*/*/*"))]
            rows = [row for chapter in chapters if chapter.is_dir() for row in _chapter(chapter)]
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "text", "session"])
        add_speaker_column(table, "gender", librispeech_genders(root))
        return check_table(table, f"Libri-light in {self.root}")


def _chapter(folder: Path) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield the recordings of `speaker/chapter`, with transcripts from `speaker-chapter.trans.txt`."""
    speaker, chapter = folder.parts[-2:]
    transcripts = folder / f"{speaker}-{chapter}.trans.txt"
    texts = dict(line.split(" ", 1) for line in transcripts.read_text(encoding="utf-8").splitlines() if line)
    for path in sorted(folder.glob("*.flac")):
        if path.stem not in texts:
            raise ValueError(f"no transcript of {path.stem} in {transcripts.name}")
        yield path.stem, str(path), speaker, texts[path.stem].strip(), chapter
