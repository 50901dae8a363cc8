"""Quantile regression: how far a signal is above what is usual for such a recording, without any shadow model."""

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Attack, CannotRun, Evidence
from lightning_mia.attacks.classifiers.quantiles import ConditionalQuantiles, principal_components
from lightning_mia.attacks.scalar_signals.base import PretextScore, ScalarSignal
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.table import Signals

MIN_RECORDINGS = 50
MAX_RECORDINGS = 2000  # a linear program of more takes long, and tells 33 coefficients no better


class QuantileRegression(Attack):
    """(signal − its median for a non-member like this) / the spread of such non-members.

    Median and quartiles of the signal are predicted from the target's own pooled vector of the recording, by linear
    quantile regressions that are fitted on auxiliary recordings, which the target was not trained on. A recording that
    is easy for any model is expected to be easy, and what counts is how much easier it is. At speaker level, the mean
    over the speaker's recordings; of a signal of several numbers, the mean over these.

    Bertran et al. predict the very quantile at which a false positive rate is reached, by an image model that sees the
    example. A few hundred auxiliary recordings tell the median and the quartiles at best, and the one model of speech
    that is sure to be at hand is the target.

    Args:
        signal: what is read of the target.
        layer: whose pooled vectors tell which recordings are alike, −1 = the last.
    """

    levels = ("utterance", "speaker")
    reference = "Bertran et al. (2023), section 3"

    def __init__(self, signal: ScalarSignal = PretextScore(), layer: int = -1) -> None:
        self.signal, self.layer = signal, layer
        self.access, self.two_sided = signal.access, signal.two_sided
        self.needs_signal = signal.needs_signal

    @property
    def name(self) -> str:
        """`quantile_regression`, with the signal where it is not the pretext score."""
        return "_".join(filter(None, ("quantile_regression", self.signal.name)))

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Those of the signal."""
        return self.signal.groups

    def score(self, evidence: Evidence) -> pd.Series:
        """Normalised exceedance of every unit.

        Raises:
            CannotRun: too few auxiliary recordings.
        """
        known = self._auxiliary(evidence)
        judged = evidence.challenge
        vectors, others = self._components(evidence.target, known, judged["id"])
        numbers = self.signal.read(evidence.target)
        of_known, of_judged = (numbers.loc[ids].to_numpy(dtype=np.float64).T for ids in (known, judged["id"]))
        exceedances = [
            ConditionalQuantiles.of(vectors, usual).exceedance(others, values)
            for usual, values in zip(of_known, of_judged, strict=True)
        ]
        of_recordings = pd.Series(np.mean(exceedances, axis=0))
        return of_recordings.groupby(judged["unit_id"].to_numpy(), sort=False).mean()

    def _auxiliary(self, evidence: Evidence) -> pd.Index:
        """Auxiliary recordings with signals, by id; of very many, some at random."""
        known = pd.Index(evidence.auxiliary["id"].sort_values()).intersection(evidence.target.scalars.index, sort=None)
        known = known.difference(pd.Index(evidence.challenge["id"]))
        if len(known) < MIN_RECORDINGS:
            raise CannotRun(f"it needs {MIN_RECORDINGS} or more auxiliary recordings, and there are {len(known)}")
        if len(known) <= MAX_RECORDINGS:
            return known
        return known[np.sort(np.random.default_rng(evidence.seed).permutation(len(known))[:MAX_RECORDINGS])]

    def _components(self, signals: Signals, known: pd.Index, judged: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """Principal components of the pooled vectors, as those of the known recordings have them."""
        pooled = signals.pooled_layer(self.layer)
        return principal_components(pooled.loc[known].to_numpy(), pooled.loc[judged].to_numpy())
