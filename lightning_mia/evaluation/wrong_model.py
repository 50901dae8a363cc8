"""Target against wrong model: a simultaneous comparison over a family.

A leak requires that the target's AUROC is further from chance than the wrong model's. With many attacks, one of them
clears a bound of its own by chance: in a family of 20 in which target and wrong model respond alike, one of 20 bounds
at 95 % exceeds 0 in half of the cases. The bounds are therefore simultaneous. The studentised differences of all
attacks in the same bootstrap draws of speakers give the distribution of the largest one (max-T; Westfall and Young
1993; Romano and Wolf 2005), and from it corrected p-values and the critical value of the bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.results import Difference
from lightning_mia.evaluation.settings import ALPHA
from lightning_mia.evaluation.statistics.difference import AurocDifference, auroc_difference


@dataclass(frozen=True, eq=False)
class ModelPair:
    """AUROCs of one attack on target and wrong model.

    Attributes:
        target: AUROC on the target.
        wrong: AUROC on the wrong model.
        target_replicates: (B,) AUROC on the target in each draw of speakers.
        wrong_replicates: (B,) the same of the wrong model.
        two_sided: the attack's sign is unknown beforehand.
        degrees_of_freedom: of the draws.

    Example:
        >>> draws = np.random.default_rng(0).normal(scale=0.03, size=(2, 1000))
        >>> pair = ModelPair(0.8, 0.51, 0.8 + draws[0], 0.51 + draws[1], two_sided=False, degrees_of_freedom=19)
        >>> (difference,) = compare_family([pair])
        >>> round(difference.value, 2), difference.p_value < 0.001
        (0.29, True)
    """

    target: float
    wrong: float
    target_replicates: np.ndarray
    wrong_replicates: np.ndarray
    two_sided: bool
    degrees_of_freedom: float

    def difference(self) -> AurocDifference:
        """Compare distances from chance.

        AUROCs below 0.5 are mirrored; that of the target only if the attack is two-sided.
        """
        mirror_target = self.two_sided and self.target < 0.5
        target = _mirrored(self.target, self.target_replicates, mirror_target)
        wrong = _mirrored(self.wrong, self.wrong_replicates, self.wrong < 0.5)
        return auroc_difference(target[0], wrong[0], target[1], wrong[1], self.degrees_of_freedom)

    def standardised(self) -> np.ndarray:
        """Return the errors of the replicates in standard deviations, (B,).

        They are absolute if the attack is two-sided: choosing its sign by the data gives chance two ways to be
        positive. Replicates that have no AUROC count as 0.
        """
        sign_target = -1.0 if self.two_sided and self.target < 0.5 else 1.0
        sign_wrong = -1.0 if self.wrong < 0.5 else 1.0
        replicates = sign_target * self.target_replicates - sign_wrong * self.wrong_replicates
        spread = np.nanstd(replicates)
        errors = (replicates - np.nanmean(replicates)) / spread if spread > 0 else np.zeros_like(replicates)
        return np.nan_to_num(np.abs(errors) if self.two_sided else errors)


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
    return np.max([pair.standardised() for pair in pairs], axis=0) if len(pairs) > 1 else None


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
        auroc_wrong_model=pair.wrong,
        p_value=_p_value(pair, difference, largest) if testable else 1.0,
    )


def _p_value(pair: ModelPair, difference: AurocDifference, largest: np.ndarray | None) -> float:
    """Return the smallest level at which the lower bound exceeds 0."""
    from scipy.stats import norm, t

    tail = float(t.sf(_statistic(difference), pair.degrees_of_freedom))
    own = min(1.0, 2 * tail) if pair.two_sided else tail
    if largest is None:
        return own
    joint = (1 + np.sum(largest >= norm.isf(tail))) / (1 + len(largest))
    return max(own, float(joint))


def _statistic(difference: AurocDifference, limit: float = 1e3) -> float:
    """Return the quantile at which the lower bound is 0."""
    from scipy.optimize import brentq

    if difference.value <= 0:
        return difference.value / difference.standard_error if difference.standard_error > 0 else -limit
    if difference.lower(limit) >= 0:
        return limit
    return float(brentq(difference.lower, 0.0, limit))


def _mirrored(auroc: float, replicates: np.ndarray, mirror: bool) -> tuple[float, np.ndarray]:
    return (1 - auroc, 1 - replicates) if mirror else (auroc, replicates)
