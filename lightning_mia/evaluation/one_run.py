"""Lower bound on ε from one training, by guessing coins.

The bound is that of Steinke, Nasr and Jagielski (2023, arXiv 2305.08846, section 5 and appendix D). A fair coin has
decided for each of m units whether it is a member. From an attack's scores, r coins are guessed: the r / 2 highest are
guessed to be members, the r / 2 lowest non-members, and those in the middle are not guessed. If the training is
(ε, δ)-differentially private, at least v guesses are correct with probability at most

    P[B ≥ v] + 2 m δ max_i P[v − i ≤ B < v] / i,   B ~ Binomial(r, e^ε / (1 + e^ε))

No assumption about model or data is needed: the coins are the only chance, and the units may resemble each other. The
attack must know of the target's coins through the target alone. The smallest ε that v correct guesses do not reject is
the lower bound.

The theorem takes r as fixed before the scores are seen, and the best r depends on the leak: a few guesses for a weak
one, almost all for a strong one. Here the candidates depend on m alone, and each is tested at an equal share of the
error (Bonferroni), so that the largest of their bounds holds. The largest bound over many r without such a correction
would not.
"""

import math
from typing import NamedTuple

import numpy as np

from lightning_mia.evaluation.scores import Scores

N_HALVINGS = 5
"""Candidate numbers of guesses: almost all units, 1/2, 1/4, … 1/32 of them."""


class Guesses(NamedTuple):
    """Guesses that show the largest lower bound on ε.

    Attributes:
        epsilon: the bound; at least 0, the trivial one.
        n_guesses: number of guesses; the other units are not guessed.
        n_correct: number of correct ones.
    """

    epsilon: float
    n_guesses: int
    n_correct: int


def one_run_p_value(n_units: int, n_guesses: int, n_correct: int, epsilon: float, delta: float) -> float:
    """Bound the probability of that many correct guesses under (ε, δ).

    Args:
        n_units: units whose membership was decided by a fair coin each.
        n_guesses: units that were guessed; fixed before the scores are seen.
        n_correct: correct guesses.
        epsilon: ε of the hypothesis.
        delta: δ of the hypothesis.

    Raises:
        ValueError: more correct guesses than guesses, more guesses than units, or ε or δ out of range.

    >>> round(one_run_p_value(1000, 100, 75, epsilon=0.673, delta=1e-4), 3)  # appendix D
    0.05
    """
    from scipy.stats import binom

    if not 0 <= n_correct <= n_guesses <= n_units:
        raise ValueError(f"Expected n_correct ≤ n_guesses ≤ n_units, got {n_correct}, {n_guesses} and {n_units}")
    if not (epsilon >= 0 and 0 <= delta <= 1):
        raise ValueError(f"Expected ε of at least 0 and δ between 0 and 1, got {epsilon} and {delta}")
    accuracy = 1 / (1 + math.exp(-epsilon))
    p_value = float(binom.sf(n_correct - 1, n_guesses, accuracy))
    if delta > 0 and n_correct > 0:
        below = binom.pmf(np.arange(n_correct - 1, -1, -1), n_guesses, accuracy)  # of v − 1, v − 2, … 0
        p_value += 2 * n_units * delta * float(np.max(np.cumsum(below) / np.arange(1, n_correct + 1)))
    return min(1.0, p_value)


def one_run_epsilon(n_units: int, n_guesses: int, n_correct: int, delta: float, error: float = 0.05) -> float:
    """Compute the lower bound for a fixed number of guesses.

    Args:
        n_units: as in `one_run_p_value`.
        n_guesses: as in `one_run_p_value`.
        n_correct: as in `one_run_p_value`.
        delta: δ of the bound.
        error: probability with which the bound may exceed ε.

    Raises:
        ValueError: as in `one_run_p_value`.

    >>> round(one_run_epsilon(1000, 100, 75, delta=1e-4), 3), one_run_epsilon(1000, 100, 50, delta=1e-4)
    (0.673, 0.0)
    """
    from scipy.optimize import brentq

    def excess(epsilon: float) -> float:
        return one_run_p_value(n_units, n_guesses, n_correct, epsilon, delta) - error

    if excess(0.0) > 0:
        return 0.0
    highest = 1.0
    while excess(highest) <= 0:  # ends: as ε grows, every guess is correct
        highest *= 2
    return float(brentq(excess, 0.0, highest, xtol=1e-9))  # in this range, the p-value grows with ε


def guess_numbers(n_units: int, error: float) -> list[int]:
    """List the candidate numbers of guesses.

    They depend on the number of units alone, not on the scores. The largest leaves out as many units as the numbers of
    members and non-members are likely to differ by (two standard deviations), so that a perfect attack makes no wrong
    guess. Candidates so small that correct guesses alone would show nothing are omitted.

    Args:
        n_units: units whose membership was decided by a fair coin each.
        error: probability with which the bound may exceed ε, to be shared by the candidates.

    Returns:
        Even numbers, descending; empty if there are too few units.

    >>> guess_numbers(1000, 0.05), guess_numbers(40, 0.05), guess_numbers(8, 0.05)
    ([936, 500, 250, 124, 62, 30], [26, 20, 10], [])
    """
    sizes = [n_units - 2 * math.sqrt(n_units), *(n_units / 2**halvings for halvings in range(1, N_HALVINGS + 1))]
    numbers = sorted({2 * int(size / 2) for size in sizes}, reverse=True)
    while numbers and 2.0 ** -numbers[-1] > error / len(numbers):
        numbers.pop()
    return numbers


def one_run_bound(scores: Scores, delta: float, error: float = 0.05) -> Guesses:
    """Compute the lower bound on ε that an attack shows.

    The bound holds if a fair coin was tossed for each unit, and the scores depend on the coins through the target
    alone, as those of any attack do that was not fitted to the labels of the target. Equal scores are ranked by their
    position. If the sign of the attack's effect is unknown beforehand, both directions are tested at half the error.

    Args:
        scores: of an attack, higher = member.
        delta: δ of the bound.
        error: probability with which the bound may exceed ε.

    Raises:
        ValueError: δ or the error is out of range.

    Example:
        >>> units, coins = [f"{i:03d}" for i in range(200)], np.random.default_rng(0).random(200) < 0.5
        >>> one_run_bound(Scores("perfect", "utterance", "grey-box", False, units, units, coins, coins), delta=1e-5)
        Guesses(epsilon=3.58..., n_guesses=170, n_correct=170)
    """
    if not (0 < error < 1 and 0 <= delta <= 1):
        raise ValueError(f"Expected an error and a δ between 0 and 1, got {error} and {delta}")
    ranked = scores.members[np.argsort(-scores.values, kind="stable")]
    orders = [ranked, ranked[::-1]] if scores.two_sided else [ranked]
    numbers = guess_numbers(len(scores), error / len(orders))
    best = Guesses(0.0, 0, 0)
    for order in orders:
        members_from_top, others_from_bottom = np.cumsum(order), np.cumsum(~order[::-1])
        for number in numbers:
            n_correct = int(members_from_top[number // 2 - 1] + others_from_bottom[number // 2 - 1])
            share = error / (len(orders) * len(numbers))
            epsilon = one_run_epsilon(len(scores), number, n_correct, delta, share)
            best = max(best, Guesses(epsilon, number, n_correct))
    return best
