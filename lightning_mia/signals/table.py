"""Table of one model's membership signals."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lightning_mia.models.outputs import PRETEXT_SCORE
from lightning_mia.utilities.environment import result_versions
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path

PAIRWISE_COSINE = "pairwise_cosine"


def of_question(column: str, question: str) -> str:
    """Name a column that differs between questions.

    Args:
        column: name of the signal.
        question: as in `Split.candidates`.

    >>> of_question("relearning_gain", "speaker_held_back")
    'relearning_gain@speaker_held_back'
    """
    return f"{column}@{question}"


@dataclass(frozen=True)
class Signals:
    """Membership signals of one model.

    A few dozen numbers per utterance, and a pooled vector per layer.

    Attributes:
        scalars: index = utterance id, float64 columns: `pairwise_cosine_layer0` … (mean cosine between the frames of
            the utterance) and, if the model has them, `pretext_score_mask0` … and other scores of its training task
            (log-odds, higher = solved better).
        pooled: `(utterances, layers, dim)` float32, mean of every layer's hidden states, rows as in `scalars`.

    Example:
        >>> scalars = pd.DataFrame({"pretext_score_mask0": [0.0, 1.0], "pretext_score_mask1": [1.0, 2.0]}, ["a", "b"])
        >>> signals = Signals(scalars, np.zeros((2, 3, 8), np.float32))
        >>> signals.n_layers, signals.pretext_score().tolist()
        (3, [0.5, 1.5])
    """

    scalars: pd.DataFrame
    pooled: np.ndarray

    @property
    def n_layers(self) -> int:
        """Number of layers, including the transformer's input."""
        return self.pooled.shape[1]

    def layer(self, layer: int) -> int:
        """Resolve a layer index, negative from the end.

        Raises:
            InputError: the layer does not exist.
        """
        if not -self.n_layers <= layer < self.n_layers:
            raise InputError(f"Layer {layer} does not exist: the model has layers 0 to {self.n_layers - 1}")
        return layer % self.n_layers

    def pairwise_cosine(self, layer: int) -> pd.Series:
        """Return the mean cosine between the frames of every utterance."""
        return self.scalars[f"{PAIRWISE_COSINE}_layer{self.layer(layer)}"]

    def pretext_score(self) -> pd.Series:
        """Average the pretext score of every utterance over masks."""
        return self.task_score(PRETEXT_SCORE)

    def task_score(self, name: str) -> pd.Series:
        """Average a score of the training task over draws."""
        return self.draws(name).mean(axis=1)

    def draws(self, name: str) -> pd.DataFrame:
        """Return a score of the training task, one column per draw."""
        return self.scalars[self._draws(name)]

    def n_draws(self, name: str) -> int:
        """Count the draws of a score, 0 without it."""
        return len(self._draws(name))

    def has(self, name: str) -> bool:
        """Whether the model has this score of its training task."""
        return bool(self._draws(name))

    def _draws(self, name: str) -> list[str]:
        return [column for column in map(str, self.scalars) if column == name or column.startswith(f"{name}_mask")]

    def pooled_layer(self, layer: int) -> pd.DataFrame:
        """Return a layer's pooled vectors, one column per dimension."""
        return pd.DataFrame(self.pooled[:, self.layer(layer)].astype(np.float64), index=self.scalars.index)

    def take(self, ids: Iterable[str]) -> "Signals":
        """Select utterances, in the given order."""
        rows = self.scalars.index.get_indexer(pd.Index(list(ids)))
        assert (rows >= 0).all(), "an utterance was not probed"
        return Signals(self.scalars.iloc[rows], self.pooled[rows])

    def of_question(self, question: str) -> "Signals":
        """Keep the signals of one question, named without it.

        Signals that do not depend on the question are kept as they are.

        >>> table = pd.DataFrame({"gain@utterance": [1.0], "gain@speaker_trained": [2.0]}, index=["a"])
        >>> Signals(table, np.zeros((1, 1, 1))).of_question("utterance").scalars.loc["a"].to_dict()
        {'gain': 1.0}
        """
        if not any("@" in str(column) for column in self.scalars):
            return self
        names = {column: str(column).removesuffix(f"@{question}") for column in self.scalars}
        kept = {column: name for column, name in names.items() if "@" not in name}
        return Signals(self.scalars[list(kept)].rename(columns=kept), self.pooled)

    def save(self, path: Path, record: Mapping[str, Any] | None = None) -> None:
        """Write one `.npz` file atomically.

        Args:
            path: the file.
            record: facts about the measurement, JSON-like.
        """
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(
                file,
                ids=self.scalars.index.to_numpy(dtype=str),
                names=self.scalars.columns.to_numpy(dtype=str),
                scalars=self.scalars.to_numpy(dtype=np.float64),
                pooled=self.pooled,
                versions=json.dumps(result_versions()),
                record=json.dumps(record or {}),
            )

    @staticmethod
    def load(path: Path) -> "Signals":
        """Read a file written by `save`.

        Raises:
            InputError: the file is damaged.
        """
        with _opened(path) as file:
            scalars = pd.DataFrame(
                file["scalars"], index=pd.Index(file["ids"].astype(object)), columns=list(file["names"])
            )
            return Signals(scalars, file["pooled"])

    @staticmethod
    def versions(path: Path) -> dict[str, str]:
        """Return the package versions with which a file was made.

        Empty if an earlier version of this package wrote it.

        Raises:
            InputError: the file is damaged.
        """
        return _facts(path, "versions")

    @staticmethod
    def record(path: Path) -> dict[str, Any]:
        """Return the facts that were saved with the signals.

        Empty if an earlier version of this package wrote them.

        Raises:
            InputError: the file is damaged.
        """
        return _facts(path, "record")

    def with_groups(self, groups: Iterable["Signals"]) -> "Signals":
        """Append the columns of further signal groups."""
        return Signals(pd.concat([self.scalars, *(group.scalars for group in groups)], axis=1), self.pooled)

    @staticmethod
    def concatenate(parts: Iterable["Signals"]) -> "Signals":
        """Join the parts of several processes or batches."""
        parts = list(parts)
        return Signals(pd.concat([part.scalars for part in parts]), np.concatenate([part.pooled for part in parts]))


def _facts(path: Path, entry: str) -> dict[str, Any]:
    """Read a JSON entry of a file; empty if it has none."""
    with _opened(path) as file:
        facts: dict[str, Any] = json.loads(str(file[entry])) if entry in file else {}
        return facts


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a `.npz` file.

    Raises:
        InputError: the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            yield file
    except Exception as error:  # damage makes the archive, its arrays or their headers fail in many ways
        raise InputError(f"{path} is damaged; delete it and run the same command again") from error
