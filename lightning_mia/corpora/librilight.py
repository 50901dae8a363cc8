"""Libri-light's limited-supervision training sets (Kahn et al., ICASSP 2020): 10 minutes, 1 and 10 hours."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import Archive, absolute, as_published, check_names, open_published
from lightning_mia.corpora.formats.speaker_metadata import add_facts
from lightning_mia.corpora.librispeech import librispeech_genders

FOLDERS = {"10min": ["1h/0"], "1h": ["1h/*"], "10h": ["1h/*", "9h"]}
"""Where the recordings of each set lie; below come clean or other, speaker and chapter."""


class LibriLightLimited(Corpus):
    """A labelled set of Libri-light, drawn from LibriSpeech: speaker, chapter (as `session`) and transcript.

    The smaller sets are parts of the larger ones. The gender comes from `LibriSpeech/SPEAKERS.TXT`, where
    LibriSpeech lies in the same folder.
    """

    def __init__(self, root: str, split: Literal["10min", "1h", "10h"] = "10min", download: bool = False) -> None:
        """Name the folder and the set.

        Args:
            root: the folder that holds (or, with `download`, gets) `librispeech_finetuning`.
            split: 10min, 1h or 10h.
            download: fetch the archive, which holds all three (0.6 GB), where it is not there.
        """
        self.root = root
        self.split = split
        self.download = download

    def table(self) -> pd.DataFrame:
        """Read the layout and the transcripts; nothing is decoded."""
        from torchaudio import datasets

        check_names("Libri-light split", [self.split], FOLDERS)
        root = absolute(self.root)
        folder = root / "librispeech_finetuning"
        open_published(
            lambda: datasets.LibriLightLimited(root, self.split, download=self.download),
            Archive(root / "librispeech_finetuning.tgz", folder, datasets.librilight_limited._CHECKSUM),
            download=self.download,
            holds="librispeech_finetuning",
        )
        with as_published(folder):
            chapters = [path for pattern in FOLDERS[self.split] for path in sorted(folder.glob(f"{pattern}/*/*/*"))]
            rows = [row for chapter in chapters if chapter.is_dir() for row in _chapter(chapter)]
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "text", "session"])
        add_facts(table, "gender", librispeech_genders(root))
        return check_table(table, f"Libri-light in {self.root}")


def _chapter(folder: Path) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield the recordings in a folder `speaker/chapter`, with what `speaker-chapter.trans.txt` says of them."""
    speaker, chapter = folder.parts[-2:]
    transcripts = folder / f"{speaker}-{chapter}.trans.txt"
    texts = dict(line.split(" ", 1) for line in transcripts.read_text(encoding="utf-8").splitlines() if line)
    for path in sorted(folder.glob("*.flac")):
        if path.stem not in texts:
            raise ValueError(f"no transcript of {path.stem} in {transcripts.name}")
        yield path.stem, str(path), speaker, texts[path.stem].strip(), chapter
