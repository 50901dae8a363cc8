"""Differential privacy: proven upper and empirical lower bounds on ε."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.rates import clopper_pearson


@dataclass(frozen=True)
class Privacy:
    """Bounds on the (ε, δ)-differential privacy of a training.

    Neighbouring training sets differ in one recording.

    Attributes:
        delta: probability with which the bounds on ε may fail.
        epsilon: upper bound on ε, proven by the noise of the training; None without such a proof.
        epsilon_shown: lower bound on ε, shown by the strongest attack on utterances (95 %, corrected for the
            number of attacks); None without such an attack.
        shown_by: name of that attack; empty if no attack shows that ε is above 0.
        clip_norm: maximum gradient norm of one recording; None if gradients were not clipped per recording.
        noise_multiplier: standard deviation of the noise on a step's sum of gradients, divided by `clip_norm`.

    Example:
        >>> privacy = Privacy(delta=1e-5, epsilon=8.0, epsilon_shown=1.2, shown_by="lira")
        >>> f"{privacy.epsilon_shown} ≤ ε ≤ {privacy.epsilon}"
        '1.2 ≤ ε ≤ 8.0'
    """

    delta: float
    epsilon: float | None
    epsilon_shown: float | None
    shown_by: str
    clip_norm: float | None = None
    noise_multiplier: float | None = None


def gaussian_epsilon(noise_multiplier: float, steps: int, delta: float) -> float:
    """Compute the exact ε of a repeated Gaussian mechanism.

    The repetitions are together μ-Gaussian differentially private with μ = √steps / noise_multiplier. The equation
    δ(ε) = Φ(−ε/μ + μ/2) − e^ε Φ(−ε/μ − μ/2) (Dong, Roth and Su 2022, corollary 1) is solved for ε.

    Args:
        noise_multiplier: standard deviation of the noise, divided by the sensitivity.
        steps: number of repetitions.
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
    highest = mu**2 / 2 + mu * math.sqrt(2 * math.log(1 / delta))  # δ(ε) < exp(−(ε/μ − μ/2)²/2), which is δ here
    return float(brentq(excess, 0.0, highest, xtol=1e-9))


def epsilon_lower_bound(scores: Scores, delta: float, level: float = 0.95) -> float:
    """Compute the lower bound on ε that an attack shows.

    It is log((TPR − δ) / FPR). The threshold is chosen on one half of the units, selected by the hash of their ids. On
    the other half, both rates get a one-sided Clopper-Pearson bound, jointly at the given level (Jagielski, Ullman and
    Oprea 2020). Units count as independent trials, which holds only approximately for records of one training: the
    bound complements the proven one and is no proof.

    Args:
        scores: of an attack, higher = member.
        delta: of the upper bound.
        level: confidence level.

    Returns:
        At least 0, the trivial bound.
    """
    first = np.array([hashlib.sha256(unit.encode()).digest()[0] % 2 == 0 for unit in scores.unit_ids.tolist()])
    choosing, evaluation = (_members_and_others(scores, half) for half in (first, ~first))
    if not all(len(values) for values in (*choosing, *evaluation)):
        return 0.0
    single_level = 1 - (1 - level) / 2  # of each one-sided bound; both hold together at `level`
    thresholds = np.unique(scores.values[first])
    best = max(thresholds, key=lambda threshold: _bound(*choosing, threshold, delta, single_level))
    return max(0.0, _bound(*evaluation, best, delta, single_level))


def strongest_lower_bound(scores: Sequence[Scores], delta: float, level: float = 0.95) -> tuple[float, str]:
    """Find the attack with the largest lower bound on ε.

    The level holds for all attacks together. Returns the bound and the attack's name.
    """
    single_level = 1 - (1 - level) / len(scores)
    return max((epsilon_lower_bound(attack, delta, single_level), attack.name) for attack in scores)


def _members_and_others(scores: Scores, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Select the scores of members and non-members in one half."""
    return scores.values[half & scores.members], scores.values[half & ~scores.members]


def _bound(members: np.ndarray, others: np.ndarray, threshold: float, delta: float, level: float) -> float:
    """Bound ε at one threshold; −∞ if TPR ≤ δ."""
    two_sided = 2 * level - 1  # each end is a one-sided bound at `level`
    tpr = clopper_pearson(float((members >= threshold).sum()), len(members), two_sided)[0]
    fpr = clopper_pearson(float((others >= threshold).sum()), len(others), two_sided)[1]
    return math.log((tpr - delta) / fpr) if tpr > delta else -math.inf
