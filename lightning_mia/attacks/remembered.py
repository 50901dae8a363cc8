"""Scores of attacks that have to be trained, kept so that a second start does not train them again."""

from pathlib import Path

import pandas as pd

from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.errors import InputError
from lightning_mia.files import atomic_path, hash_of


def remembered_scores(attack: Attack, evidence: Evidence, folder: Path, model: str) -> pd.Series:
    """Scores of an attack, from the folder where they are already there.

    Args:
        attack: an attack that takes long.
        evidence: what it is given.
        folder: where scores are kept, one file an attack, model and challenge set.
        model: what the model's answers depend on, as text: its hash and that of the recordings.

    Raises:
        InputError: a file is damaged.
    """
    settings = {name: value for name, value in vars(attack).items() if not name.startswith("_")}
    asked = [list(evidence.challenge["id"]), list(evidence.challenge["unit_id"]), list(evidence.auxiliary["id"])]
    key = hash_of([type(attack).__name__, settings, model, asked, evidence.seed])
    path = folder / f"{attack.name}-{key[:16]}.csv"
    if not path.exists():
        scores = attack.score(evidence)
        with atomic_path(path) as temporary:
            scores.rename("score").rename_axis("unit_id").to_csv(temporary, float_format="%.17g")
        return scores
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)  # Python's own reading of a number is exact
        return table.set_index("unit_id")["score"].astype(float)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is damaged; delete it and start again") from error
