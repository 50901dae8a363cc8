"""Names that tell nothing, for reports that are handed on; who is who stands in `speakers.csv` beside them.

The order in which speakers are numbered follows from the scores: the same run gives the same pseudonyms, but whoever
has only the report, and a list of the corpus's speakers, cannot work the order out.
"""

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.speaker_risk import SpeakerRisk, SpeakerRisks
from lightning_mia.utilities.files import atomic_path

COLUMNS = (
    "pseudonym",
    "speaker",
    "n_members",
    "n_nonmembers",
    "auroc",
    "auroc_lo",
    "auroc_hi",
    "auroc_own",
    "p_value",
    "p_value_corrected",
)


def pseudonyms(scores: Scores) -> dict[str, str]:
    """Name → pseudonym of every speaker in the scores.

    >>> scores = Scores("a", "speaker", "none", False, ["x", "y"], ["x", "y"], [True, False], [0.3, 0.1])
    >>> sorted(pseudonyms(scores).values())
    ['speaker 1', 'speaker 2']
    """
    key = hashlib.sha256(np.ascontiguousarray(scores.values).tobytes()).digest()

    def place(name: str) -> bytes:
        return hashlib.blake2b(name.encode(), key=key).digest()

    names = sorted(set(scores.speakers.tolist()), key=place)
    width = len(str(len(names)))
    return {name: f"speaker {number:0{width}d}" for number, name in enumerate(names, start=1)}


def write_speakers(path: Path, names: Mapping[str, str], risks: SpeakerRisks | None) -> None:
    """Write who is who, with the figures of those who have some.

    Args:
        path: of the CSV file.
        names: name → pseudonym.
        risks: under pseudonyms.
    """
    found = {one.speaker: one for one in risks.speakers} if risks else {}
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, pseudonym in names.items():
            figures = _figures(found[pseudonym]) if pseudonym in found else [""] * (len(COLUMNS) - 2)
            writer.writerow([pseudonym, name, *figures])


def _figures(one: SpeakerRisk) -> list[object]:
    own = "" if one.auroc_own is None else one.auroc_own
    counts = [one.n_members, one.n_nonmembers]
    return [*counts, one.auroc, *one.auroc_ci95, own, one.p_value, one.p_value_corrected]
