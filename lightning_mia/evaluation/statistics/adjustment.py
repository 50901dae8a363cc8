"""AUROC of an attack after taking out what the blind score explains.

An analysis of covariance: both scores are turned into normal scores (their ranks as quantiles of the normal
distribution), the attack's are regressed on the blind ones *within* members and within non-members, and the
common slope times the blind score is taken off. The slope within the sides does not know of the difference
between them, so that a leak is not taken off with the confound; a difference that the blind score predicts along
that slope is.
"""

import numpy as np

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.auroc import auroc


def blind_adjusted_auroc(scores: Scores, blind: Scores) -> float:
    """AUROC of `scores` with what `blind` explains taken out.

    Args:
        scores: of an attack.
        blind: of the blind control, on the same units at least, in any order.

    Raises:
        ValueError: the blind control did not judge one of the units.
    """
    attack, explained_by = normal_scores(scores.values), normal_scores(align(blind, scores))
    slope = _slope_within(attack, explained_by, scores.members)
    left = np.round(attack - slope * explained_by, 9)  # an attack that repeats the blind score leaves only rounding
    return auroc(left, scores.members)


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Ranks as quantiles of the normal distribution, Φ⁻¹((rank − ½) / n), ties sharing their mean rank: (..., n)."""
    from scipy.stats import norm, rankdata

    return norm.ppf((rankdata(values, axis=-1) - 0.5) / values.shape[-1])


def align(other: Scores, scores: Scores) -> np.ndarray:
    """The values of `other` in the order of the units of `scores`, (n,) float64.

    Raises:
        ValueError: `other` lacks one of the units.
    """
    if np.array_equal(other.unit_ids, scores.unit_ids):
        return other.values
    position = {unit: row for row, unit in enumerate(other.unit_ids)}
    missing = [str(unit) for unit in scores.unit_ids if unit not in position]
    if missing:
        raise ValueError(f"{other.name} lacks {len(missing)} of the units of {scores.name}, {missing[0]} first")
    return other.values[[position[unit] for unit in scores.unit_ids]]


def _slope_within(response: np.ndarray, covariate: np.ndarray, members: np.ndarray) -> float:
    products, squares = 0.0, 0.0
    for side in (members, ~members):
        centred = covariate[side] - covariate[side].mean()
        products += float(centred @ response[side])
        squares += float(centred @ centred)
    return products / squares if squares > 0 else 0.0
