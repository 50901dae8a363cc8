"""The one-run lower bound on ε: the paper's values, a slow oracle, planted mechanisms."""

import math
from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from lightning_mia.evaluation.one_run import Guesses, guess_numbers, one_run_bound, one_run_epsilon, one_run_p_value
from lightning_mia.evaluation.privacy import gaussian_epsilon
from lightning_mia.evaluation.scores import Scores

DELTA = 1e-5


def make_scores(coins: np.ndarray, values: np.ndarray, two_sided: bool = False) -> Scores:
    units = np.array([f"{number:05d}" for number in range(len(coins))])
    return Scores("attack", "utterance", "grey-box", two_sided, units, units, coins, values)


def slow_p_value(n_units: int, n_guesses: int, n_correct: int, epsilon: float, delta: float) -> float:
    """Add one guess after the other, and try every i of the theorem."""
    accuracy = math.exp(epsilon) / (math.exp(epsilon) + 1)
    correct = [1.0]  # probability of 0, 1, … correct guesses
    for _ in range(n_guesses):
        right = [0.0, *(accuracy * p for p in correct)]
        wrong = [*((1 - accuracy) * p for p in correct), 0.0]
        correct = [a + b for a, b in zip(right, wrong, strict=True)]

    def at_least(number: int) -> float:
        return math.fsum(correct[max(number, 0) :])

    alphas = [(at_least(n_correct - i) - at_least(n_correct)) / i for i in range(1, n_units + 1)]
    return min(1.0, at_least(n_correct) + 2 * n_units * delta * max(alphas))


@pytest.mark.parametrize("delta", [0.0, 1e-5, 1e-3, 0.02])
@pytest.mark.parametrize("epsilon", [0.0, 0.7, 3.0])
@pytest.mark.parametrize(("n_units", "n_guesses", "n_correct"), [(60, 60, 45), (90, 30, 30), (50, 20, 0), (40, 1, 1)])
def test_the_p_value_is_that_of_the_theorem(
    n_units: int, n_guesses: int, n_correct: int, epsilon: float, delta: float
) -> None:
    expected = slow_p_value(n_units, n_guesses, n_correct, epsilon, delta)
    assert one_run_p_value(n_units, n_guesses, n_correct, epsilon, delta) == pytest.approx(expected, rel=1e-9)


def test_the_bound_is_that_of_the_paper() -> None:
    assert one_run_epsilon(1000, 100, 75, 1e-4) == pytest.approx(0.673, abs=5e-4)  # appendix D
    assert one_run_epsilon(100_000, 1510, 1439, 1e-5) == pytest.approx(2.675, abs=1e-3)  # section 7, truncated


@pytest.mark.parametrize(("n_guesses", "n_correct"), [(200, 150), (40, 38), (24, 24)])
def test_the_bound_is_where_the_slow_p_value_crosses_the_error(n_guesses: int, n_correct: int) -> None:
    bound = one_run_epsilon(200, n_guesses, n_correct, 1e-4, error=0.01)
    assert slow_p_value(200, n_guesses, n_correct, bound + 1e-4, 1e-4) > 0.01
    for epsilon in np.linspace(0, bound - 1e-4, 4):
        assert slow_p_value(200, n_guesses, n_correct, float(epsilon), 1e-4) < 0.01


def test_more_correct_guesses_and_a_smaller_delta_give_a_larger_bound() -> None:
    by_correct = [one_run_epsilon(500, 100, n_correct, DELTA) for n_correct in range(50, 101, 10)]
    assert by_correct[0] == 0.0 and by_correct == sorted(by_correct)
    by_delta = [one_run_epsilon(500, 100, 90, delta) for delta in (0.1, 1e-2, 1e-4, 0.0)]
    assert by_delta[0] == 0.0 and by_delta == sorted(by_delta)


def test_the_numbers_of_guesses_do_not_depend_on_the_scores_and_can_all_show_a_leak() -> None:
    for n_units in (0, 1, 5, 12, 40, 100, 1000, 100_000):
        numbers = guess_numbers(n_units, 0.05)
        assert numbers == sorted(set(numbers), reverse=True)
        assert all(number % 2 == 0 and 0 < number <= n_units for number in numbers)
        for number in numbers:
            assert one_run_p_value(n_units, number, number, 0.0, 0.0) <= 0.05 / len(numbers)
    assert guess_numbers(8, 0.05) == []


def test_the_most_extreme_scores_are_guessed() -> None:
    rng = np.random.default_rng(0)
    coins = rng.random(300) < 0.5
    scores = make_scores(coins, 1.5 * coins + rng.normal(size=300))
    best = one_run_bound(scores, DELTA)
    ranked = sorted(zip(scores.values, coins, strict=True), key=lambda pair: -pair[0])
    expected = []
    for number in guess_numbers(300, 0.05):
        n_correct = sum(coin for _, coin in ranked[: number // 2]) + sum(not coin for _, coin in ranked[-number // 2 :])
        expected.append((one_run_epsilon(300, number, n_correct, DELTA, 0.05 / len(guess_numbers(300, 0.05))), number))
    assert (best.epsilon, best.n_guesses) == max(expected)
    assert best.epsilon > 0.5


def test_a_perfect_attack_guesses_almost_all_units() -> None:
    coins = np.random.default_rng(1).random(1000) < 0.5
    best = one_run_bound(make_scores(coins, coins.astype(float)), DELTA)
    assert best.n_guesses == best.n_correct == 936
    assert best.epsilon > 4.5


@pytest.mark.parametrize("seed", range(3))
def test_labels_redrawn_after_training_give_no_bound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    coins = rng.random(400) < 0.5
    values = 3.0 * coins + rng.normal(size=400)
    assert one_run_bound(make_scores(coins, values), DELTA).epsilon > 1
    assert one_run_bound(make_scores(rng.permutation(coins), values), DELTA).epsilon == 0.0


def test_equal_scores_give_no_bound() -> None:
    coins = np.random.default_rng(2).random(400) < 0.5
    assert one_run_bound(make_scores(coins, np.zeros(400)), DELTA).epsilon == 0.0


def test_an_unknown_sign_costs_half_the_error() -> None:
    rng = np.random.default_rng(3)
    coins = rng.random(400) < 0.5
    values = 2.0 * coins + rng.normal(size=400)
    assert one_run_bound(make_scores(coins, -values), DELTA).epsilon == 0.0
    one_sided = one_run_bound(make_scores(coins, values), DELTA, error=0.025)
    for sign in (1, -1):
        assert one_run_bound(make_scores(coins, sign * values, two_sided=True), DELTA) == one_sided


def test_a_handful_of_units_shows_nothing() -> None:
    coins = np.arange(8) % 2 == 0
    assert one_run_bound(make_scores(coins, coins.astype(float)), DELTA) == Guesses(0.0, 0, 0)


def test_a_bound_exceeds_the_epsilon_of_randomised_response_in_5_percent_of_draws_at_most() -> None:
    """No mechanism of the same ε is easier to guess."""
    rng, epsilon = np.random.default_rng(4), 1.5
    truth = 1 / (1 + math.exp(-epsilon))
    bounds = []
    for _ in range(200):
        coins = rng.random(200) < 0.5
        bounds.append(one_run_bound(make_scores(coins, coins == (rng.random(200) < truth)), 0.0).epsilon)
    assert np.sum(np.array(bounds) > epsilon) <= binom.ppf(0.999, 200, 0.05)
    assert np.median(bounds) > 0.9


def test_recordings_with_one_coin_are_one_unit() -> None:
    """The bound counts units: five recordings of a speaker with one coin do not show more than the speaker."""
    rng, epsilon, n_speakers = np.random.default_rng(7), 1.0, 60
    exceeding = {1: 0, 5: 0}  # recordings that count as units of their own, per speaker
    for _ in range(100):
        coins = rng.random(n_speakers) < 0.5
        answers = coins == (rng.random(n_speakers) < 1 / (1 + math.exp(-epsilon)))
        for n, n_exceeding in list(exceeding.items()):
            scores = make_scores(np.repeat(coins, n), np.repeat(answers + 0.1 * rng.random(n_speakers), n))
            exceeding[n] = n_exceeding + (one_run_bound(scores, 0.0).epsilon > epsilon)
    assert exceeding[1] <= binom.ppf(0.999, 100, 0.05) < exceeding[5]


@pytest.mark.parametrize(
    ("n_canaries", "n_draws"), [(100, 100), pytest.param(1000, 1000, marks=pytest.mark.slow)], ids=["quick", "slow"]
)
def test_the_bound_of_a_gaussian_mechanism_is_below_its_epsilon(n_canaries: int, n_draws: int) -> None:
    rng = np.random.default_rng(5)
    exceeding = 0
    for _ in range(n_draws):
        coins = rng.random(n_canaries) < 0.5
        values = coins + rng.normal(size=n_canaries)
        exceeding += one_run_bound(make_scores(coins, values), DELTA).epsilon > gaussian_epsilon(1.0, 1, DELTA)
    assert exceeding <= binom.ppf(0.999, n_draws, 0.05)


@pytest.mark.parametrize("shift", [0.5, 2.0])
def test_with_1000_canaries_it_is_within_20_percent_of_the_best_fixed_number_of_guesses(shift: float) -> None:
    rng = np.random.default_rng(6)
    numbers = [30, 60, 80, 120, 180, 250, 400, 600, 900]
    bounds, published, cached = [], {number: [] for number in numbers}, cache(one_run_epsilon)
    for _ in range(20):
        coins = rng.random(1000) < 0.5
        scores = make_scores(coins, shift * coins + rng.normal(size=1000))
        bounds.append(one_run_bound(scores, DELTA).epsilon)
        ranked = coins[np.argsort(-scores.values)]
        for number in numbers:
            n_correct = int(ranked[: number // 2].sum() + (~ranked[-number // 2 :]).sum())
            published[number].append(cached(1000, number, n_correct, DELTA))
    best = max(np.mean(values) for values in published.values())
    assert 0.8 * best <= np.mean(bounds) <= 1.02 * best


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 5, 6, 1.0, 0.0), "n_correct ≤ n_guesses ≤ n_units, got 6, 5 and 10"),
        ((10, 11, 6, 1.0, 0.0), "n_correct ≤ n_guesses ≤ n_units"),
        ((10, 5, -1, 1.0, 0.0), "n_correct ≤ n_guesses ≤ n_units"),
        ((10, 5, 3, -0.1, 0.0), "ε of at least 0"),
        ((10, 5, 3, math.nan, 0.0), "ε of at least 0"),
        ((10, 5, 3, 1.0, 1.5), "δ between 0 and 1"),
    ],
)
def test_impossible_numbers_are_refused(arguments: tuple[int, int, int, float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        one_run_p_value(*arguments)


@pytest.mark.parametrize(("delta", "error"), [(-1e-5, 0.05), (math.nan, 0.05), (1e-5, 0.0), (1e-5, 1.0)])
def test_an_impossible_delta_or_error_is_refused(delta: float, error: float) -> None:
    scores = make_scores(np.arange(40) % 2 == 0, np.arange(40.0))
    with pytest.raises(ValueError, match="error and a δ between 0 and 1"):
        one_run_bound(scores, delta, error)
