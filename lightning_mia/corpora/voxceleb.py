"""VoxCeleb1 (Nagrani, Chung and Zisserman, Interspeech 2017)."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import absolute, check_names, layout_errors
from lightning_mia.corpora.formats.tables import add_speaker_column, normalise_gender, read_column
from lightning_mia.utilities.errors import InputError

SPLITS = ("train", "dev", "test")
PUBLISHER = "https://www.robots.ox.ac.uk/~vgg/data/voxceleb"


class VoxCeleb1(Corpus):
    """VoxCeleb1: interviews of 1,251 celebrities, for research only.

    Speakers are the celebrities, sessions the videos. Splits are those for speaker identification: every speaker is
    in all three, with different videos. Gender is read from `vox1_meta.csv` if it is in the folder. The publisher
    (www.robots.ox.ac.uk/~vgg/data/voxceleb) gives recordings on request; there is no automatic download.

    Example:
        >>> VoxCeleb1("corpora/voxceleb1", splits=["test"]).splits
        ['test']
    """

    def __init__(self, root: str, splits: Sequence[str] = SPLITS) -> None:
        """Specify the folder and the splits.

        Args:
            root: folder that contains `wav/id10001/…` (of both archives, dev and test) and `iden_split.txt`.
            splits: any of train, dev and test, as `iden_split.txt` numbers them 1, 2 and 3.
        """
        self.root = root
        self.splits = splits

    def table(self) -> pd.DataFrame:
        """List the published recordings, without opening them."""
        from torchaudio.datasets import VoxCeleb1Identification

        check_names("VoxCeleb1 split", self.splits, SPLITS)
        root = absolute(self.root)
        _check_files(root)
        rows = []
        with layout_errors(root / "iden_split.txt"):
            for split in dict.fromkeys(self.splits):
                data = VoxCeleb1Identification(root, split)
                for n in range(len(data)):
                    path, *_, name = data.get_metadata(n)
                    speaker, video, _ = PurePosixPath(path).parts[-3:]
                    rows.append((name, str(root / "wav" / path), speaker, video))
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "session"])
        genders = read_column(root / "vox1_meta.csv", "VoxCeleb1 ID", "Gender", delimiter="\t")
        add_speaker_column(table, "gender", {speaker: normalise_gender(gender) for speaker, gender in genders.items()})
        return check_table(table, f"VoxCeleb1 in {self.root}")


def _check_files(root: Path) -> None:
    """Reject a folder without recordings or split list.

    torchaudio would try to download them.
    """
    if not (root / "wav").is_dir():
        remedy = f"request the recordings at {PUBLISHER}, extract vox1_dev_wav.zip and vox1_test_wav.zip"
        raise InputError(f"{root / 'wav'}: no such folder; {remedy}, and set root to the folder that holds wav")
    if not (root / "iden_split.txt").is_file():
        source = f"{PUBLISHER}/meta/iden_split.txt"
        raise InputError(f"{root / 'iden_split.txt'}: no such file; fetch it from {source} into this folder")
