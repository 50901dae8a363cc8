"""Common Voice (Ardila et al., LREC 2020): sentences that volunteers read, in many languages."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import absolute, check_names
from lightning_mia.corpora.formats.speaker_metadata import gender_of
from lightning_mia.corpora.formats.tables import facts_by, read_rows
from lightning_mia.utilities.errors import InputError

SPLITS = ("train", "dev", "test", "validated", "invalidated", "other")
PUBLISHER = "https://commonvoice.mozilla.org/datasets"

Row = dict[str, str | float]


class CommonVoice(Corpus):
    """One language of Common Voice: speaker, text, and where the volunteer told them, gender and accent.

    The speaker is the publisher's `client_id`. The durations come from `clip_durations.tsv`, which later releases
    have. A recording that several splits list (`validated` holds `train`, `dev` and `test`) stands in the corpus
    once. The publisher wants an agreement before every download: there is none here.
    """

    def __init__(self, root: str, splits: Sequence[str] = ("train",)) -> None:
        """Name the folder and the splits.

        Args:
            root: the folder of one language, which holds `train.tsv` and `clips`.
            splits: any of train, dev, test, validated, invalidated and other.
        """
        self.root = root
        self.splits = splits

    def table(self) -> pd.DataFrame:
        """Read the publisher's lists; whether the recordings exist is found out when they are decoded."""
        check_names("Common Voice split", self.splits, SPLITS)
        root = absolute(self.root)
        milliseconds = facts_by(root / "clip_durations.tsv", "clip", "duration[ms]", delimiter="\t")
        rows: dict[str, Row] = {}
        for split in dict.fromkeys(self.splits):
            for row in _rows(root, f"{split}.tsv", milliseconds):
                rows.setdefault(str(row["id"]), row)
        table = pd.DataFrame(list(rows.values()))
        unused = [name for name in ("gender", "accent", "duration") if name in table and not (table[name] != "").any()]
        return check_table(table.drop(columns=unused), f"Common Voice in {self.root}")


def _rows(root: Path, name: str, milliseconds: dict[str, str]) -> Iterator[Row]:
    path = root / name
    if not path.is_file():
        how = f"get a language from {PUBLISHER}, and set root to its folder, which holds {name} and clips"
        raise InputError(f"{path}: no such file; {how}")
    for row in read_rows(path, delimiter="\t", quoted=False):
        clip = row.get("path", "")
        file = clip if clip.endswith(".mp3") else f"{clip}.mp3"  # the first releases leave out the suffix
        yield {
            "id": Path(file).stem if clip else "",
            "path": str(root / "clips" / file) if clip else "",
            "speaker": row.get("client_id", ""),
            "text": _unquoted(row.get("sentence", "")),
            "duration": _seconds(milliseconds.get(file, "")),
            "gender": gender_of(row.get("gender", "")),
            "accent": _unquoted(row.get("accents", row.get("accent", ""))),  # the latter name until release 6
        }


def _unquoted(field: str) -> str:
    """Take off the quotes that some releases put around a sentence that has quotes in it.

    >>> _unquoted('"He said ""no"" twice."'), _unquoted('Say "no"')
    ('He said "no" twice.', 'Say "no"')
    """
    quoted = len(field) > 1 and field.startswith('"') and field.endswith('"')
    return field[1:-1].replace('""', '"') if quoted else field


def _seconds(milliseconds: str) -> float | str:
    return float(milliseconds) / 1000 if milliseconds.replace(".", "", 1).isdigit() else ""
