"""Quantile regression: signal relative to similar non-members."""

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Attack, CannotRun, Evidence, unit_means
from lightning_mia.attacks.classifiers.quantiles import ConditionalQuantiles, principal_components
from lightning_mia.attacks.scalar_signals.base import DEFAULT_SIGNAL, ScalarSignal
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.ranges import Layer, check_ranges

MIN_RECORDINGS = 50
MAX_RECORDINGS = 2000  # a larger linear program is slow and does not improve 33 coefficients


class QuantileRegression(Attack):
    """Quantile regression attack, without shadow models.

    Score: (x − q̂_50) / (q̂_75 − q̂_25), with the predicted percentiles q̂ of the signal of a non-member like this
    recording; averaged over the dimensions of the signal, and over a speaker's recordings at speaker level.

    Linear quantile regressions predict the quartiles from the principal components of the target's pooled vector of the
    recording. They are fitted on auxiliary recordings, which the target was not trained on, so that the score measures
    how much easier a recording is than expected.

    Deviations from the paper, which predicts the quantile at a given false positive rate with a separate image model: a
    few hundred auxiliary recordings suffice for quartiles only, and the only available speech model is the target.

    Args:
        signal: signal of the target.
        layer: hidden layer of the pooled vectors, −1 = the last.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_shadows=0, effect=2.0, spread=0.5, n_auxiliary=60)
        >>> audit.auroc(QuantileRegression().score(audit.evidence))
        0.87
    """

    base_name = "quantile_regression"
    levels = ("utterance", "speaker")
    reference = "Bertran et al. (2023), section 3"

    def __init__(self, signal: ScalarSignal = DEFAULT_SIGNAL, layer: Layer = -1) -> None:
        self.signal, self.layer = signal, layer
        check_ranges(QuantileRegression.__init__, vars(self), f"{type(self).__name__}.")
        self.access, self.two_sided = signal.access, signal.two_sided
        self.needs_signal = signal.needs_signal

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The signal's name, empty for the pretext score."""
        return (self.signal.name,)

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Groups of the signal."""
        return self.signal.groups

    def score(self, evidence: Evidence) -> pd.Series:
        """Compute the normalised exceedance of every unit.

        Raises:
            CannotRun: too few auxiliary recordings.
        """
        auxiliary, challenge = self._auxiliary(evidence), pd.Index(evidence.challenge["id"])
        auxiliary_components, components = self._components(evidence.target, auxiliary, challenge)
        signal = self.signal.read(evidence.target)
        auxiliary_signal, challenge_signal = (
            signal.loc[ids].to_numpy(dtype=np.float64).T for ids in (auxiliary, challenge)
        )
        exceedances = [
            ConditionalQuantiles.fit(auxiliary_components, auxiliary_values).exceedance(components, values)
            for auxiliary_values, values in zip(auxiliary_signal, challenge_signal, strict=True)
        ]
        return unit_means(pd.Series(np.mean(exceedances, axis=0), index=challenge), evidence.challenge)

    def _auxiliary(self, evidence: Evidence) -> pd.Index:
        """List the auxiliary recordings with signals; sample if too many."""
        probed = evidence.target.scalars.index
        ids = pd.Index(evidence.auxiliary["id"].sort_values()).intersection(probed, sort=None)
        ids = ids.difference(pd.Index(evidence.challenge["id"]))
        if len(ids) < MIN_RECORDINGS:
            raise CannotRun(f"it needs {MIN_RECORDINGS} or more auxiliary recordings, and there are {len(ids)}")
        if len(ids) <= MAX_RECORDINGS:
            return ids
        return ids[np.sort(np.random.default_rng(evidence.seed).permutation(len(ids))[:MAX_RECORDINGS])]

    def _components(self, signals: Signals, auxiliary: pd.Index, challenge: pd.Index) -> tuple[np.ndarray, np.ndarray]:
        """Compute principal components, fitted on the auxiliary recordings."""
        pooled = signals.pooled_layer(self.layer)
        return principal_components(pooled.loc[auxiliary].to_numpy(), pooled.loc[challenge].to_numpy())
