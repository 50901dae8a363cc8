"""Differences of AUROCs and their lower bounds."""

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from lightning_mia.evaluation.statistics.auroc import auroc
from lightning_mia.evaluation.statistics.bootstrap import bootstrap_auroc, draw_speakers
from lightning_mia.evaluation.statistics.difference import AurocDifference, auroc_difference
from lightning_mia.evaluation.statistics.intervals import auroc_interval


def compare(
    first: np.ndarray, second: np.ndarray, members: np.ndarray, speaker: np.ndarray, reverse: bool = False
) -> AurocDifference:
    draws = draw_speakers(speaker.astype(str), members, 200, seed=0)
    aurocs = [auroc(values, members) for values in (first, second)]
    replicates = [bootstrap_auroc(values, members, draws) for values in (first, second)]
    if reverse:
        aurocs, replicates = [1 - one for one in aurocs], [1 - one for one in replicates]
    return auroc_difference(*aurocs, *replicates, first, second, members, draws)


def plant(n_speakers: int, shift: float, unequal: float, seed: int) -> tuple[np.ndarray, ...]:
    """Plant a target and a wrong model with common noise, 20 recordings per speaker."""
    generator = np.random.default_rng(seed)
    speaker, members = np.repeat(np.arange(n_speakers), 20), np.tile(np.arange(20) < 10, n_speakers)
    common, first, second = np.sqrt(0.5) * generator.normal(size=(3, len(speaker)))
    shifts = shift + unequal * generator.normal(size=n_speakers)
    return common + first + shifts[speaker] * members, common + second, members, speaker


def test_bounds_combine_the_distances_to_those_of_the_two_aurocs() -> None:
    first, second, members, speaker = plant(10, 1.5, 0.5, seed=1)
    difference = compare(first, second, members, speaker)
    draws = draw_speakers(speaker.astype(str), members, 200, seed=0)
    replicates = [bootstrap_auroc(values, members, draws) for values in (first, second)]
    aurocs = [auroc(values, members) for values in (first, second)]
    (low1, high1), (low2, high2) = (
        auroc_interval(aurocs[i], replicates[i], (first, second)[i], members, draws) for i in (0, 1)
    )
    shared = np.corrcoef(*replicates)[0, 1]
    value = aurocs[0] - aurocs[1]
    sides = (aurocs[0] - low1, high2 - aurocs[1]), (high1 - aurocs[0], aurocs[1] - low2)
    down, up = (np.sqrt(x * x + y * y - 2 * shared * x * y) for x, y in sides)
    expected = (value - down, value + up)
    assert difference.bounds(student.ppf(0.975, 9)) == pytest.approx(expected, abs=1e-6)
    assert difference.standard_error == pytest.approx((replicates[0] - replicates[1]).std(ddof=1))
    assert difference.degrees_of_freedom == 9


def test_the_lower_bound_falls_with_the_quantile() -> None:
    for seed in range(10):
        difference = compare(*plant(8, seed / 3, seed / 4, seed))
        bounds = [difference.lower(quantile) for quantile in np.linspace(0.5, 8, 20)]
        assert (np.diff(bounds) <= 1e-9).all()
        assert bounds[0] < difference.value


def test_reversed_scores_have_the_same_difference() -> None:
    first, second, members, speaker = plant(8, 1.0, 0.5, seed=3)
    difference = compare(first, second, members, speaker)
    reversed_difference = compare(-first, -second, members, speaker, reverse=True)
    assert reversed_difference.value == pytest.approx(difference.value)
    assert reversed_difference.lower(2.5) == pytest.approx(difference.lower(2.5), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("n_speakers", "unequal"), [(6, 2.0), (10, 2.0), (10, 0.0)])
def test_the_lower_bound_rarely_exceeds_the_true_difference(n_speakers: int, unequal: float) -> None:
    """With speakers who leak unequally, Student's t times the standard error exceeds it in 10 to 14 %."""
    shift = norm.ppf(0.95) * np.sqrt(2 + unequal**2)
    quantile = student.ppf(0.95, n_speakers - 1)
    bounds = np.array([compare(*plant(n_speakers, shift, unequal, seed)).lower(quantile) for seed in range(200)])
    assert np.mean(bounds > 0.45) <= 0.08
    assert np.mean(bounds > 0) > 0.8


def test_scores_in_the_same_order_do_not_differ() -> None:
    first, _, members, speaker = plant(8, 1.0, 0.0, seed=4)
    difference = compare(first, np.exp(first), members, speaker)
    assert (difference.value, difference.lower(2.0), difference.standard_error) == (0.0, 0.0, 0.0)


def test_two_perfect_attacks_may_differ() -> None:
    first, second, members, speaker = plant(8, 0.0, 0.0, seed=5)
    assert -0.5 < compare(first + 99 * members, second + 99 * members, members, speaker).lower(2.0) < 0


def test_too_few_speakers_have_no_bound() -> None:
    difference = compare(*plant(4, 2.0, 0.0, seed=6))
    assert difference.lower(2.0) == -1.0
    assert difference.bounds(2.0) == (-1.0, 1.0)
    assert np.isnan(difference.standard_error)
