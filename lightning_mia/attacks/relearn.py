"""Relearning: which recordings does the model gain nothing from?"""

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Attack, Evidence, unit_means
from lightning_mia.attacks.scalar_signals.pretext import RelearnScore
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.relearning import DEFAULT_RELEARNING, Relearning


class Relearn(Attack):
    """Relearning: what does the model gain by further training on the candidates?

    Score: φ(x; θ) − β · mean over copies k of φ(x; θₖ), with φ the score of the training task under the same masks and
    noise, and θₖ the model θ trained further by its own task on recordings whose membership is in question, without
    labels; averaged over a speaker's recordings at speaker level. What the model was trained on has little left to
    gain, and so a high score. β is the least-squares slope over all recordings in question, at most 1: the
    copies' scores are noisy, and a slope of 1 would subtract too much; a larger slope comes from the leak itself.

    Requires the weights and the training task (white-box), but no shadow models and no labels. The score of a recording
    depends on the other candidates.

    Args:
        relearning: how copies of the model are trained further.
        label: appended to the name, to distinguish other settings.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> columns = DEFAULT_RELEARNING.columns
        >>> audit = simulate_audit(n_shadows=0, effect=[2.0, 0.0], spread=0.5, columns=columns)
        >>> audit.auroc(Relearn().score(audit.evidence))
        0.9
    """

    base_name = "relearn"
    access = "white-box"
    levels = ("utterance", "speaker")
    reference = "this package; cf. Zhang et al. (2024, arXiv 2410.10880), who fine-tune language models on non-members"

    def __init__(self, relearning: Relearning = DEFAULT_RELEARNING, label: str = "") -> None:
        self.signal = RelearnScore(relearning, label)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The label."""
        return self.signal.suffixes

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """The further training."""
        return self.signal.groups

    def score(self, evidence: Evidence) -> pd.Series:
        """Score every unit, higher = less to gain."""
        scores = self.signal.read(evidence.target).loc[evidence.challenge["id"]]
        before, after = scores.to_numpy().T
        residuals = before - min(_slope(after, before), 1.0) * after
        return unit_means(pd.Series(residuals, index=scores.index), evidence.challenge)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Return the least-squares slope of y over x, 0 for a constant x.

    >>> _slope(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]))
    2.0
    """
    centred = x - x.mean()
    square = float(centred @ centred)
    return float(centred @ y) / square if square else 0.0
