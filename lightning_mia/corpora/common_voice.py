"""Common Voice (Ardila et al., LREC 2020)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import absolute, check_names
from lightning_mia.corpora.formats.tables import normalise_gender, read_column, read_rows
from lightning_mia.utilities.errors import InputError

SPLITS = ("train", "dev", "test", "validated", "invalidated", "other")
PUBLISHER = "https://commonvoice.mozilla.org/datasets"

Row = dict[str, str | float]


class CommonVoice(Corpus):
    """Common Voice: sentences read by volunteers in many languages, CC0.

    Speakers are the publisher's `client_id`. Gender and accent are given for volunteers who stated them, durations
    from `clip_durations.tsv` (later releases). A recording listed in several splits (`validated` contains `train`,
    `dev` and `test`) is used once. Available at commonvoice.mozilla.org/datasets after accepting the terms; there is
    no automatic download.

    Example:
        >>> corpus = CommonVoice("cv-corpus-17.0/de", splits=["train", "dev"])
        >>> corpus.splits
        ['train', 'dev']
    """

    def __init__(self, root: str, splits: Sequence[str] = ("train",)) -> None:
        """Specify the folder and the splits.

        Args:
            root: folder of one language, which contains `train.tsv` and `clips`.
            splits: any of train, dev, test, validated, invalidated and other.
        """
        self.root = root
        self.splits = splits

    def table(self) -> pd.DataFrame:
        """List the published recordings, without opening them."""
        check_names("Common Voice split", self.splits, SPLITS)
        root = absolute(self.root)
        milliseconds = read_column(root / "clip_durations.tsv", "clip", "duration[ms]", delimiter="\t")
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
        remedy = f"download a language from {PUBLISHER}, and set root to its folder, which holds {name} and clips"
        raise InputError(f"{path}: no such file; {remedy}")
    for row in read_rows(path, delimiter="\t", quoted=False):
        clip = row.get("path", "")
        file = clip if Path(clip).suffix else f"{clip}.mp3"  # the first releases omit the suffix
        yield {
            "id": Path(file).stem if clip else "",
            "path": str(root / "clips" / file) if clip else "",
            "speaker": row.get("client_id", ""),
            "text": _unquoted(row.get("sentence", "")),
            "duration": _seconds(milliseconds.get(file, "")),
            "gender": normalise_gender(row.get("gender", "")),
            "accent": _unquoted(row.get("accents", row.get("accent", ""))),  # "accent" until release 6
        }


def _unquoted(field: str) -> str:
    """Remove the quotes that some releases add around a field.

    >>> _unquoted('"He said ""no"" twice."'), _unquoted('Say "no"')
    ('He said "no" twice.', 'Say "no"')
    """
    quoted = len(field) > 1 and field.startswith('"') and field.endswith('"')
    return field[1:-1].replace('""', '"') if quoted else field


def _seconds(milliseconds: str) -> float | str:
    return float(milliseconds) / 1000 if milliseconds.replace(".", "", 1).isdigit() else ""
