"""Differential privacy: what a training proves from above, and what an attack shows from below."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.rates import clopper_pearson


@dataclass(frozen=True)
class Privacy:
    """How far one recording more or less can be told from the target: (ε, δ)-differential privacy, from both sides.

    Attributes:
        delta: probability with which the bounds on ε may fail.
        epsilon: ε is at most this, by the noise of the training; None: nothing is proved.
        epsilon_shown: ε is at least this, as the strongest attack on single recordings shows (95 %, all attacks
            counted); None without such an attack.
        shown_by: that attack; empty where none shows that ε is above 0.
        clip_norm: largest norm of the gradient of one recording; None: gradients were those of whole batches.
        noise_multiplier: standard deviation of the noise on a step's sum of gradients, over `clip_norm`.
    """

    delta: float
    epsilon: float | None
    epsilon_shown: float | None
    shown_by: str
    clip_norm: float | None = None
    noise_multiplier: float | None = None


def gaussian_epsilon(noise_multiplier: float, steps: int, delta: float) -> float:
    """ε of a Gaussian mechanism that is used several times, exactly.

    Together they are μ-Gaussian differentially private with μ = √steps / noise_multiplier, and (Dong, Roth and Su 2022,
    corollary 1) δ(ε) = Φ(−ε/μ + μ/2) − e^ε Φ(−ε/μ − μ/2), which is solved for ε.

    Args:
        noise_multiplier: standard deviation of the noise over the sensitivity.
        steps: times that a record is used.
        delta: probability with which the bound may fail.

    >>> round(gaussian_epsilon(1.0, 1, 1e-5), 2), gaussian_epsilon(1.0, 0, 1e-5)
    (4.38, 0.0)
    """
    from scipy.optimize import brentq
    from scipy.special import log_ndtr

    if steps == 0:
        return 0.0
    mu = math.sqrt(steps) / noise_multiplier

    def excess(epsilon: float) -> float:
        above = log_ndtr(-epsilon / mu + mu / 2)
        below = epsilon + log_ndtr(-epsilon / mu - mu / 2)
        return float(np.exp(above) - np.exp(below)) - delta

    if excess(0.0) <= 0:
        return 0.0
    highest = mu**2 / 2 + mu * math.sqrt(2 * math.log(1 / delta))  # δ falls below exp(−(ε/μ − μ/2)²/2) there
    return float(brentq(excess, 0.0, highest, xtol=1e-9))


def epsilon_lower_bound(scores: Scores, delta: float, level: float = 0.95) -> float:
    """ε that the training has at least, as an attack shows: log((TPR − δ) / FPR).

    The threshold is chosen on one half of the units, by the hash of their ids, and judged on the other half, where both
    rates get a one-sided Clopper-Pearson bound, together at the level asked for (Jagielski, Ullman and Oprea 2020). It
    takes units as independent trials, which records of one training are only nearly: a figure to read beside the bound
    from above, no proof.

    Args:
        scores: of an attack, higher = member.
        delta: of the bound from above.
        level: confidence.

    Returns:
        At least 0, which says nothing.
    """
    first = np.array([hashlib.sha256(unit.encode()).digest()[0] % 2 == 0 for unit in scores.unit_ids.tolist()])
    choose, judge = (_sides(scores, half) for half in (first, ~first))
    if not all(len(side) for side in (*choose, *judge)):
        return 0.0
    each = 1 - (1 - level) / 2  # one-sided, so that both hold together
    thresholds = np.unique(scores.values[first])
    best = max(thresholds, key=lambda threshold: _bound(*choose, threshold, delta, each))
    return max(0.0, _bound(*judge, best, delta, each))


def strongest_lower_bound(scores: Sequence[Scores], delta: float, level: float = 0.95) -> tuple[float, str]:
    """The largest bound over several attacks, and the attack's name; the level holds for all of them together."""
    each = 1 - (1 - level) / len(scores)
    return max((epsilon_lower_bound(one, delta, each), one.name) for one in scores)


def _sides(scores: Scores, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the members and of the others in a half of the units, (n,) bool."""
    return scores.values[half & scores.members], scores.values[half & ~scores.members]


def _bound(members: np.ndarray, others: np.ndarray, threshold: float, delta: float, level: float) -> float:
    """Of (n,) scores of members and of others at one threshold; −∞ where the rates allow none."""
    two_sided = 2 * level - 1  # whose ends are one-sided bounds at the level
    tpr = clopper_pearson(float((members >= threshold).sum()), len(members), two_sided)[0]
    fpr = clopper_pearson(float((others >= threshold).sum()), len(others), two_sided)[1]
    return math.log((tpr - delta) / fpr) if tpr > delta else -math.inf
