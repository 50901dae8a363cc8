"""Attack with planted scores, for situations that no tiny model produces."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Attack, Evidence, unit_means
from lightning_mia.evaluation.scores import Access
from lightning_mia.evaluation.statistics.auroc import auroc
from lightning_mia.signals.table import Signals

TARGET, WRONG_MODEL = 0, 1


class PlantedScores(Attack):
    """Scores with exactly the requested AUROCs.

    It cheats: it reads the labels from the run's `split.csv`. The models are told apart by the order in which they are
    attacked: the target, then the wrong model; the control of an untrained model must be switched off.
    """

    levels = ("utterance",)
    reference: ClassVar[str] = "none"

    def __init__(
        self,
        run_dir: str,
        target: float,
        wrong_model: float = 0.5,
        name: str = "planted",
        access: Access = "grey-box",
        siblings: float = 0.0,
        common: float = 0.0,
        by_session: float = 0.0,
        unequal: bool = False,
        seed: int = 0,
    ) -> None:
        """Specify the situation.

        Args:
            run_dir: run directory of the audit.
            target: AUROC on the target.
            wrong_model: AUROC on the wrong model.
            name: name of the attack.
            access: access to the target that it claims to require.
            siblings: effect on siblings, relative to members: 1, the model fits their source; 0, it was trained on
                the members.
            common: share of the noise's variance that target and wrong model have in common.
            by_session: share of the noise's variance that the recordings of a session have in common.
            unequal: the effect differs between speakers.
            seed: of the noise.
        """
        self.run_dir, self.base_name, self.access = run_dir, name, access  # type: ignore[misc]
        self.aurocs = target, wrong_model
        self.siblings, self.common, self.by_session, self.unequal = siblings, common, by_session, unequal
        self.seed = seed
        self._models: list[np.ndarray] = []  # hidden states of the first member

    def score(self, evidence: Evidence) -> pd.Series:
        """Return noise, plus the effect on members that gives the AUROC."""
        table = pd.read_csv(Path(self.run_dir) / "split.csv", dtype={"id": str, "speaker": str}).set_index("id")
        model = self._model(evidence.target, table.index[table["role"] == "member"][0])
        noise, effect = self._noise(table, model), self._effect(table)
        evaluated = table["role"].isin(["member", "nonmember"]).to_numpy()
        members = (table["role"] == "member").to_numpy()[evaluated]

        def reached(shift: float) -> float:
            return auroc((noise + shift * effect)[evaluated], members)

        scores = pd.Series(noise + bisect(reached, self.aurocs[model]) * effect, index=table.index)
        return unit_means(scores, evidence.challenge)

    def _model(self, signals: Signals, recording: str) -> int:
        """Return the number of the model in the order of the attacks."""
        states = signals.take([recording]).pooled
        matches = [bool(np.allclose(states, known, rtol=1e-3)) for known in self._models]
        if not any(matches):
            self._models.append(states)
        return [*matches, True].index(True)

    def _noise(self, table: pd.DataFrame, model: int) -> np.ndarray:
        common, own = (self._one_noise(table, stream) for stream in ("common", str(model)))
        return np.sqrt(self.common) * common + np.sqrt(1 - self.common) * own

    def _one_noise(self, table: pd.DataFrame, stream: str) -> np.ndarray:
        rng = np.random.default_rng([self.seed, *self.base_name.encode(), *stream.encode()])
        sessions = table.index.str.rsplit("_", n=1).str[0]
        of_session = pd.Series(dict(zip(sorted(set(sessions)), rng.normal(size=len(set(sessions))), strict=True)))
        shared = of_session[sessions].to_numpy()
        return np.sqrt(self.by_session) * shared + np.sqrt(1 - self.by_session) * rng.normal(size=len(table))

    def _effect(self, table: pd.DataFrame) -> np.ndarray:
        """Return the relative effect of every recording."""
        roles = table["role"].map({"member": 1.0, "sibling": self.siblings}).fillna(0.0).to_numpy(dtype=float)
        if not self.unequal:
            return roles
        speakers = sorted(set(table["speaker"]))
        strengths = np.random.default_rng([self.seed, 1]).exponential(size=len(speakers)) + 0.1
        return roles * table["speaker"].map(dict(zip(speakers, strengths, strict=True))).to_numpy(dtype=float)


def bisect(function: Callable[[float], float], value: float) -> float:
    """Find where a rising function reaches a value, between −20 and 20.

    >>> round(bisect(lambda x: x / 2, 3.0), 3)
    6.0
    """
    lower, upper = -20.0, 20.0
    for _ in range(50):
        middle = (lower + upper) / 2
        lower, upper = (middle, upper) if function(middle) < value else (lower, middle)
    return (lower + upper) / 2
