"""AUROC adjusted for the blind score.

This is an analysis of covariance: both scores become normal scores (their ranks as quantiles of the normal
distribution), the attack's are regressed on the blind ones *within* members and within non-members, and the common
slope times the blind score is subtracted. That slope does not depend on the difference between members and
non-members: a leak remains, and a difference that the blind score predicts along the slope is removed.
"""

import numpy as np

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.auroc import auroc


def blind_adjusted_auroc(scores: Scores, blind: Scores) -> float:
    """Compute the AUROC without what the blind score explains.

    Args:
        scores: of an attack.
        blind: of the blind baseline, on at least the same units, in any order.

    Raises:
        ValueError: the blind baseline lacks one of the units.
    """
    attack, explained_by = normal_scores(scores.values), normal_scores(align(blind, scores))
    slope = _slope_within(attack, explained_by, scores.members)
    residuals = np.round(attack - slope * explained_by, 9)  # an attack equal to the blind score leaves rounding errors
    return auroc(residuals, scores.members)


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Turn values (..., n) into normal scores.

    They are Φ⁻¹((rank − ½) / n); ties share their mean rank.

    >>> normal_scores(np.array([1.0, 5.0, 100.0])).round(2)
    array([-0.97,  0.  ,  0.97])
    """
    from scipy.stats import norm, rankdata

    return norm.ppf((rankdata(values, axis=-1) - 0.5) / values.shape[-1])


def align(other: Scores, scores: Scores) -> np.ndarray:
    """Order the values of `other` by another's units, (n,) float64.

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
    """Fit one slope to centred members and centred non-members."""
    products, squares = 0.0, 0.0
    for group in (members, ~members):
        centred = covariate[group] - covariate[group].mean()
        products += float(centred @ response[group])
        squares += float(centred @ centred)
    return products / squares if squares > 0 else 0.0
