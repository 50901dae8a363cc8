"""Compare what a model was trained on with its training set.

Time limits, step limits and early stopping can end a training before it has reached every recording.
"""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from lightning_mia.training.train import EXPOSURES, Trained
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import hash_of_file


def read_exposures(trained: Trained) -> dict[str, int]:
    """Read how often a model was trained on each recording.

    Args:
        trained: a model of this run.

    Raises:
        InputError: `trained_utterances.csv` is missing or damaged, or was changed after the training.
    """
    path = trained.checkpoint.with_name(EXPOSURES)
    recorded = trained.record.get("exposures_sha256")  # earlier versions did not record it
    if recorded and path.is_file() and hash_of_file(path) != recorded:
        raise InputError(
            f"{path} is not the file that the training wrote, whose hash {path.with_name('stage.json')} records; "
            f"delete {path.parent} and run the same command again"
        )
    try:
        table = pd.read_csv(path, dtype={"id": str}, keep_default_na=False)
        return dict(zip(table["id"], table["times"].astype(int), strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} is missing or damaged; delete {path.parent} and run the same command again"
        ) from error


def unexposed(trained: Trained, ids: Iterable[str]) -> list[str]:
    """List the recordings that a model was never trained on.

    Args:
        trained: a model of this run; nothing is known about one that was trained elsewhere, and the list is empty.
        ids: its training set.

    Raises:
        InputError: the record of its training is missing or damaged.
    """
    if "steps" not in trained.record:
        return []
    times = read_exposures(trained)
    return [name for name in ids if not times.get(name)]


def exposure_obstacle(missing: Mapping[str, Sequence[str]]) -> str:
    """Explain why recordings left out of a training prevent a verdict.

    Args:
        missing: model → recordings of its training set that it was never trained on.

    Returns:
        A clause, or an empty string if every model was trained on its whole set.

    >>> exposure_obstacle({"target": [], "wrong_model": []})
    ''
    >>> exposure_obstacle({"target": ["a", "b"]})
    "training ended before every recording was used: the target's left out 2 (a; b)"
    """
    clauses = [
        f"{_possessive(model)} left out {len(ids)} ({list_first(list(ids))})" for model, ids in missing.items() if ids
    ]
    return f"training ended before every recording was used: {'; '.join(clauses)}" if clauses else ""


def _possessive(model: str) -> str:
    return f"that of {model}" if "/" in model else f"the {model.replace('_', ' ')}'s"
