"""LibriSpeech (Panayotov et al., ICASSP 2015)."""

from collections.abc import Sequence
from pathlib import Path

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
from lightning_mia.corpora.formats.tables import add_speaker_column, normalise_gender

N_PUBLISHED = {
    "dev-clean": 2_703,
    "dev-other": 2_864,
    "test-clean": 2_620,
    "test-other": 2_939,
    "train-clean-100": 28_539,
    "train-clean-360": 104_014,
    "train-other-500": 148_688,
}
"""Number of published recordings of each split (openslr.org/12)."""

SHA256 = {
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    "train-clean-360": "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    "train-other-500": "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
}
ARCHIVES = {
    split: Archive(f"http://www.openslr.org/resources/12/{split}.tar.gz", sha256) for split, sha256 in SHA256.items()
}


class LibriSpeech(Corpus):
    """LibriSpeech: 1,000 hours of English audiobooks, CC BY 4.0.

    Speakers are the readers, sessions the chapters. Transcripts come with the recordings, gender from `SPEAKERS.TXT`.
    Available at openslr.org/12, or by `download`.

    Example:
        >>> corpus = LibriSpeech("corpora", splits=["dev-clean", "test-clean"])
        >>> corpus.splits
        ['dev-clean', 'test-clean']
    """

    def __init__(self, root: str, splits: Sequence[str] = ("train-clean-100",), download: bool = False) -> None:
        """Specify the folder and the splits.

        Args:
            root: folder that contains `LibriSpeech/train-clean-100/…`.
            splits: any of dev-clean, dev-other, test-clean, test-other, train-clean-100, train-clean-360 and
                train-other-500.
            download: download missing splits into `root` (6.3 GB for train-clean-100).
        """
        self.root = root
        self.splits = splits
        self.download = download

    def table(self) -> pd.DataFrame:
        """List the recordings with transcripts and speakers, without decoding them."""
        check_names("LibriSpeech split", self.splits, N_PUBLISHED)
        rows = [row for split in dict.fromkeys(self.splits) for row in self._rows(split)]
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "text", "session"])
        add_speaker_column(table, "gender", librispeech_genders(absolute(self.root)))
        return check_table(table, f"LibriSpeech in {self.root}")

    def _rows(self, split: str) -> list[tuple[str, str, str, str, str]]:
        from torchaudio.datasets import LIBRISPEECH

        root = absolute(self.root)
        folder = published_folder(root, f"LibriSpeech/{split}", ARCHIVES[split], download=self.download)
        rows = []
        with layout_errors(folder):
            data = LIBRISPEECH(root, split)
            for n in range(len(data)):  # not data[n], which would decode the recording
                path, _, text, speaker, chapter, _ = data.get_metadata(n)
                rows.append((Path(path).stem, str(folder.parent / path), str(speaker), text, str(chapter)))
        if self.download:
            check_complete(len(rows), N_PUBLISHED[split], folder)
        return rows


def librispeech_genders(root: Path) -> dict[str, str]:
    """Read the gender of every speaker from `SPEAKERS.TXT`.

    The file has lines such as `19   | F | train-clean-100  | 25.19 | Kara Shallenberg`, and comments that begin with a
    semicolon. If it is missing, the result is empty.
    """
    path = root / "LibriSpeech" / "SPEAKERS.TXT"
    if not path.is_file():
        return {}
    with layout_errors(path):
        # Only names, which are not used, may contain invalid bytes.
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        fields = [line.split("|") for line in lines if line.strip() and not line.startswith(";")]
        return {speaker.strip(): normalise_gender(gender) for speaker, gender, *_ in fields}
