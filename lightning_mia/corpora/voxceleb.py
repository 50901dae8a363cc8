"""VoxCeleb1 (Nagrani, Chung and Zisserman, Interspeech 2017): interviews of 1,251 celebrities."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import absolute, as_published, check_names
from lightning_mia.corpora.formats.speaker_metadata import add_facts, gender_of
from lightning_mia.corpora.formats.tables import facts_by
from lightning_mia.utilities.errors import InputError

SPLITS = ("train", "dev", "test")
PUBLISHER = "https://www.robots.ox.ac.uk/~vgg/data/voxceleb"


class VoxCeleb1(Corpus):
    """Splits of VoxCeleb1 for speaker identification: speaker, video (as `session`) and gender.

    Every speaker is in all three splits, with different videos. The publisher gives the recordings on request
    only: there is no download.
    """

    def __init__(self, root: str, splits: Sequence[str] = SPLITS) -> None:
        """Name the folder and the splits.

        Args:
            root: the folder that holds `wav/id10001/…` (of both archives, dev and test) and the publisher's
                `iden_split.txt`; the gender is taken from its `vox1_meta.csv`, where that lies there too.
            splits: any of train, dev and test, as `iden_split.txt` numbers them 1, 2 and 3.
        """
        self.root = root
        self.splits = splits

    def table(self) -> pd.DataFrame:
        """Read the publisher's lists; whether the recordings exist is found out when they are decoded."""
        from torchaudio.datasets import VoxCeleb1Identification

        check_names("VoxCeleb1 split", self.splits, SPLITS)
        root = absolute(self.root)
        _refuse_missing(root)
        rows = []
        with as_published(root / "iden_split.txt"):
            for split in dict.fromkeys(self.splits):
                data = VoxCeleb1Identification(root, split)
                for n in range(len(data)):
                    path, *_, name = data.get_metadata(n)
                    speaker, video, _ = PurePosixPath(path).parts[-3:]
                    rows.append((name, str(root / "wav" / path), speaker, video))
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "session"])
        genders = facts_by(root / "vox1_meta.csv", "VoxCeleb1 ID", "Gender", delimiter="\t")
        add_facts(table, "gender", {speaker: gender_of(gender) for speaker, gender in genders.items()})
        return check_table(table, f"VoxCeleb1 in {self.root}")


def _refuse_missing(root: Path) -> None:
    """Say where the recordings and the list come from; torchaudio would try to fetch them."""
    if not (root / "wav").is_dir():
        how = f"ask for the recordings at {PUBLISHER}, extract vox1_dev_wav.zip and vox1_test_wav.zip, and set root to"
        raise InputError(f"{root / 'wav'}: no such folder; {how} the folder that holds wav")
    if not (root / "iden_split.txt").is_file():
        source = f"{PUBLISHER}/meta/iden_split.txt"
        raise InputError(f"{root / 'iden_split.txt'}: no such file; fetch it from {source} into this folder")
