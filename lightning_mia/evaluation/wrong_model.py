"""Target against wrong model: a simultaneous comparison over a family.

A leak requires that the target's AUROC is further from chance than the wrong model's. With many attacks, one of them
exceeds its bound by chance: in a family of 20 in which target and wrong model respond alike, one of 20 bounds
at 95 % exceeds 0 in half of the cases. The bounds are therefore simultaneous. The studentised differences of all
attacks in the same bootstrap draws of speakers give the distribution of the largest one (max-T; Westfall and Young
1993; Romano and Wolf 2005), and from it corrected p-values and the critical value of the bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lightning_mia.evaluation.results import Difference
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.settings import ALPHA
from lightning_mia.evaluation.statistics.auroc import auroc
from lightning_mia.evaluation.statistics.bootstrap import SpeakerDraws, bootstrap_auroc, draw_speakers
from lightning_mia.evaluation.statistics.difference import AurocDifference, auroc_difference

MIN_P_VALUE = 1e-9  # smaller ones are not resolved


@dataclass(frozen=True, eq=False)
class ModelPair:
    """Scores of one attack on target and wrong model, resampled.

    Attributes:
        target: scores on the target, n units.
        wrong: scores on the wrong model, of the same units in the same order.
        draws: draws of their speakers.
        target_auroc: AUROC on the target.
        wrong_auroc: AUROC on the wrong model.
        target_replicates: (B,) AUROC on the target in each draw.
        wrong_replicates: (B,) AUROC on the wrong model in each draw.

    Example:
        >>> units, members = [f"s{i:02d}" for i in range(60)], np.tile([True, False], 30)
        >>> noise = np.random.default_rng(0).normal(size=(2, 60))
        >>> target, wrong = (
        ...     Scores("loss", "speaker", "grey-box", False, units, units, members, values)
        ...     for values in (noise[0] + 2 * members, noise[1])
        ... )
        >>> (difference,) = compare_family([resample_pair(target, wrong, n_bootstraps=200)])
        >>> round(difference.value, 2), difference.p_value < 0.001
        (0.38, True)
    """

    target: Scores
    wrong: Scores
    draws: SpeakerDraws
    target_auroc: float
    wrong_auroc: float
    target_replicates: np.ndarray
    wrong_replicates: np.ndarray

    @property
    def two_sided(self) -> bool:
        """Whether the attack's sign is unknown beforehand."""
        return self.target.two_sided

    @property
    def degrees_of_freedom(self) -> float:
        """Degrees of freedom of the draws."""
        return self.draws.degrees_of_freedom

    def difference(self) -> AurocDifference:
        """Compare distances from chance.

        AUROCs below 0.5 are mirrored; that of the target only if the attack is two-sided.
        """
        mirror_target, mirror_wrong = self._mirrored
        return auroc_difference(
            1 - self.target_auroc if mirror_target else self.target_auroc,
            1 - self.wrong_auroc if mirror_wrong else self.wrong_auroc,
            1 - self.target_replicates if mirror_target else self.target_replicates,
            1 - self.wrong_replicates if mirror_wrong else self.wrong_replicates,
            -self.target.values if mirror_target else self.target.values,
            -self.wrong.values if mirror_wrong else self.wrong.values,
            self.target.members,
            self.draws,
        )

    @cached_property
    def errors(self) -> np.ndarray:
        """Errors of the replicates in standard deviations, (B,).

        They are absolute if the attack is two-sided: choosing its sign by the data gives chance two ways to be
        positive. Replicates that have no AUROC count as 0.
        """
        sign_target, sign_wrong = (-1.0 if mirror else 1.0 for mirror in self._mirrored)
        replicates = sign_target * self.target_replicates - sign_wrong * self.wrong_replicates
        spread = np.nanstd(replicates)
        errors = (replicates - np.nanmean(replicates)) / spread if spread > 0 else np.zeros_like(replicates)
        return np.nan_to_num(np.abs(errors) if self.two_sided else errors)

    @property
    def _mirrored(self) -> tuple[bool, bool]:
        """Whether the AUROCs of target and wrong model are mirrored."""
        return self.two_sided and self.target_auroc < 0.5, self.wrong_auroc < 0.5


def resample_pair(target: Scores, wrong: Scores, n_bootstraps: int = 1000, seed: int = 0) -> ModelPair:
    """Draw the speakers of both models' scores.

    Args:
        target: scores on the target.
        wrong: scores on the wrong model, of the same units in the same order.
        n_bootstraps: number of draws.
        seed: of the draws.
    """
    draws = draw_speakers(target.speakers, target.members, n_bootstraps, seed)
    return ModelPair(
        target,
        wrong,
        draws,
        auroc(target.values, target.members),
        auroc(wrong.values, wrong.members),
        bootstrap_auroc(target.values, target.members, draws),
        bootstrap_auroc(wrong.values, wrong.members, draws),
    )


def compare_family(pairs: Sequence[ModelPair], alpha: float = ALPHA) -> list[Difference]:
    """Compare target and wrong model for all attacks of a family.

    Args:
        pairs: one per attack, from the same draws of speakers.
        alpha: level of the simultaneous lower bounds.
    """
    largest = largest_errors(pairs)
    return [_compare(pair, largest, alpha) for pair in pairs]


def largest_errors(pairs: Sequence[ModelPair]) -> np.ndarray | None:
    """Return the largest standardised error of each draw, (B,).

    None for a family of one attack, whose errors follow Student's t.
    """
    return np.max([pair.errors for pair in pairs], axis=0) if len(pairs) > 1 else None


def critical_quantile(pair: ModelPair, largest: np.ndarray | None, alpha: float = ALPHA) -> float:
    """Return the quantile of Student's t that a difference must exceed.

    Args:
        pair: the attack.
        largest: (B,) largest standardised error of the family in each draw; None if the pair is the family.
        alpha: level of the family.
    """
    from scipy.stats import norm, t

    own = alpha / 2 if pair.two_sided else alpha
    if largest is not None:
        own = min(own, float(norm.sf(np.quantile(largest, 1 - alpha))))
    return float(t.isf(own, pair.degrees_of_freedom)) if pair.degrees_of_freedom >= 1 else float("inf")


def _compare(pair: ModelPair, largest: np.ndarray | None, alpha: float) -> Difference:
    difference, quantile = pair.difference(), critical_quantile(pair, largest, alpha)
    spread = difference.standard_error
    testable = bool(np.isfinite(quantile) and np.isfinite(spread))
    return Difference(
        value=difference.value,
        lower95=max(-1.0, difference.lower(quantile)) if testable else -1.0,
        standard_error=spread if np.isfinite(spread) else 1.0,
        auroc_wrong_model=pair.wrong_auroc,
        p_value=_p_value(pair, difference, largest) if testable else 1.0,
    )


def _p_value(pair: ModelPair, difference: AurocDifference, largest: np.ndarray | None) -> float:
    """Return the smallest level at which the lower bound exceeds 0."""
    from scipy.stats import norm, t

    tail = float(t.sf(_statistic(difference, pair.degrees_of_freedom), pair.degrees_of_freedom))
    own = min(1.0, 2 * tail) if pair.two_sided else tail
    if largest is None:
        return own
    joint = (1 + np.sum(largest >= norm.isf(tail))) / (1 + len(largest))
    return max(own, float(joint))


def _statistic(difference: AurocDifference, degrees_of_freedom: float) -> float:
    """Return the quantile at which the lower bound is 0."""
    from scipy.optimize import brentq
    from scipy.stats import t

    least, limit = 1e-6, float(t.isf(MIN_P_VALUE, degrees_of_freedom))
    if difference.lower(least) <= 0:
        spread = difference.standard_error
        return min(0.0, difference.value / spread) if spread > 0 else -limit
    if difference.lower(limit) >= 0:
        return limit
    return float(brentq(difference.lower, least, limit))
