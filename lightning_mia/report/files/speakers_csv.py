"""Speaker pseudonyms for shareable reports; `speakers.csv` maps them to names.

The numbers follow from the scores: the same run gives the same pseudonyms, but they cannot be derived from the report
and a list of the corpus's speakers.
"""

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.speaker_risk import SpeakerRisk, SpeakerRisks
from lightning_mia.report.files.serialization import quote_name
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
    """Return name → pseudonym of every speaker in the scores.

    >>> scores = Scores("a", "speaker", "none", False, ["x", "y"], ["x", "y"], [True, False], [0.3, 0.1])
    >>> sorted(pseudonyms(scores).values())
    ['speaker 1', 'speaker 2']
    """
    key = hashlib.sha256(np.ascontiguousarray(scores.values).tobytes()).digest()

    def keyed_hash(name: str) -> bytes:
        return hashlib.blake2b(name.encode(), key=key).digest()

    names = sorted(set(scores.speakers.tolist()), key=keyed_hash)
    width = len(str(len(names)))
    return {name: f"speaker {number:0{width}d}" for number, name in enumerate(names, start=1)}


def write_speakers(path: Path, names: Mapping[str, str], risks: SpeakerRisks | None) -> None:
    """Write names, pseudonyms and risks of all speakers.

    Nothing reads this file; names are quoted for spreadsheets.

    Args:
        path: of the CSV file.
        names: name → pseudonym.
        risks: under pseudonyms.
    """
    by_pseudonym = {risk.speaker: risk for risk in risks.speakers} if risks else {}
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, pseudonym in names.items():
            figures = _figures(by_pseudonym[pseudonym]) if pseudonym in by_pseudonym else [""] * (len(COLUMNS) - 2)
            writer.writerow([pseudonym, quote_name(name), *figures])


def _figures(risk: SpeakerRisk) -> list[object]:
    own = "" if risk.auroc_own is None else risk.auroc_own
    counts = [risk.n_members, risk.n_nonmembers]
    return [*counts, risk.auroc, *risk.auroc_ci95, own, risk.p_value, risk.p_value_corrected]
