"""Differential privacy: proven upper and empirical lower bounds on ε."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lightning_mia.evaluation.one_run import Guesses, one_run_bound
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.rates import clopper_pearson

Method = Literal["one_run", "rates"]
"""How a lower bound on ε was computed: see `EpsilonBound`."""


@dataclass(frozen=True)
class EpsilonBound:
    """Lower bound on ε that one attack shows.

    Neighbouring training sets differ in one unit: a recording at utterance level, all recordings of a speaker at
    speaker level.

    Attributes:
        attack: name of the attack.
        level: kind of unit, "utterance" or "speaker".
        access: of the attack.
        method: "one_run": of a split in which a fair coin decided for each unit; it needs no assumption
            (arXiv 2305.08846). "rates": log((TPR − δ) / FPR) with units as independent trials, which they are only
            approximately: no proof.
        delta: δ of the bound.
        epsilon: 95 % lower bound of this attack alone; at least 0.
        epsilon_corrected: 95 % lower bound, corrected for the number of attacks: all of them hold together.
        n_units: units with a score.
        n_guesses: guesses that show `epsilon_corrected`; None with the method "rates".
        n_correct: correct ones among them; None with the method "rates".

    Example:
        >>> bound = EpsilonBound("lira", "utterance", "grey-box", "one_run", 1e-5, 1.9, 1.6, 1000, 124, 110)
        >>> f"{bound.attack}: ε ≥ {bound.epsilon_corrected} at δ = {bound.delta}"
        'lira: ε ≥ 1.6 at δ = 1e-05'
    """

    attack: str
    level: str
    access: str
    method: Method
    delta: float
    epsilon: float
    epsilon_corrected: float
    n_units: int
    n_guesses: int | None = None
    n_correct: int | None = None


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
        method: of `epsilon_shown`, as in `EpsilonBound`.

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
    method: Method = "rates"


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
    bound complements the proven one and is no proof. `one_run_bound` is one, if a fair coin decided for each unit.

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


def strongest_lower_bound(
    scores: Sequence[Scores], delta: float, *, independent: bool = False, level: float = 0.95
) -> tuple[float, str]:
    """Find the attack with the largest lower bound on ε.

    The level holds for all attacks together. Returns the bound and the attack's name; for the arguments, see
    `lower_bounds`.
    """
    bounds = lower_bounds(scores, delta, independent=independent, level=level)
    return max((bound.epsilon_corrected, bound.attack) for bound in bounds)


def lower_bounds(
    scores: Sequence[Scores], delta: float, *, independent: bool, level: float = 0.95
) -> tuple[EpsilonBound, ...]:
    """Compute the lower bound on ε of every attack.

    Args:
        scores: of attacks, higher = member.
        delta: δ of the bounds.
        independent: a fair coin decided for each unit (method "one_run"); False: members were drawn otherwise, such as
            half of the units (method "rates").
        level: confidence level.
    """
    return tuple(_lower_bound(attack, delta, independent, 1 - level, len(scores)) for attack in scores)


def _lower_bound(scores: Scores, delta: float, independent: bool, error: float, n_attacks: int) -> EpsilonBound:
    guesses: Guesses | None = None
    if independent:
        epsilon = one_run_bound(scores, delta, error).epsilon
        guesses = one_run_bound(scores, delta, error / n_attacks)
        corrected = guesses.epsilon
    else:
        epsilon = epsilon_lower_bound(scores, delta, 1 - error)
        corrected = epsilon_lower_bound(scores, delta, 1 - error / n_attacks)
    return EpsilonBound(
        attack=scores.name,
        level=scores.level,
        access=scores.access,
        method="one_run" if independent else "rates",
        delta=delta,
        epsilon=epsilon,
        epsilon_corrected=corrected,
        n_units=len(scores),
        n_guesses=guesses.n_guesses if guesses else None,
        n_correct=guesses.n_correct if guesses else None,
    )


def _members_and_others(scores: Scores, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Select the scores of members and non-members in one half."""
    return scores.values[half & scores.members], scores.values[half & ~scores.members]


def _bound(members: np.ndarray, others: np.ndarray, threshold: float, delta: float, level: float) -> float:
    """Bound ε at one threshold; −∞ if TPR ≤ δ."""
    two_sided = 2 * level - 1  # each end is a one-sided bound at `level`
    tpr = clopper_pearson(float((members >= threshold).sum()), len(members), two_sided)[0]
    fpr = clopper_pearson(float((others >= threshold).sum()), len(others), two_sided)[1]
    return math.log((tpr - delta) / fpr) if tpr > delta else -math.inf
