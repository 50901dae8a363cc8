"""Tests of matching by duration, against slow, simple versions."""

import time

import numpy as np
import pytest
from scipy.stats import rankdata

from lightning_mia.splits.matching.by_duration import (
    bin_numbers,
    match_bins,
    match_bins_proportionally,
    match_pairs,
    match_tuples,
)


def closest_first(first: np.ndarray, second: np.ndarray, max_difference: float) -> list[float]:
    """Differences of greedily chosen pairs, in O(n³)."""
    distances = np.abs(first[:, None] - second[None, :])
    chosen = []
    while distances.size and distances.min() <= max_difference:
        row, column = np.unravel_index(distances.argmin(), distances.shape)
        chosen.append(float(distances[row, column]))
        distances = np.delete(np.delete(distances, row, axis=0), column, axis=1)
    return chosen


def auroc(higher: np.ndarray, lower: np.ndarray) -> float:
    ranks = rankdata(np.concatenate([higher, lower]))[: len(higher)]
    return (ranks.sum() - len(higher) * (len(higher) + 1) / 2) / (len(higher) * len(lower))


@pytest.mark.parametrize("seed", range(30))
def test_pairs_agree_with_a_slow_version(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0.3, 1, rng.integers(0, 40)), rng.normal(0, 1, rng.integers(0, 40))
    max_difference = rng.choice([0.02, 0.1, 1, np.inf])
    pairs = match_pairs(first, second, max_difference)
    np.testing.assert_array_equal(
        np.abs(first[pairs[:, 0]] - second[pairs[:, 1]]), closest_first(first, second, max_difference)
    )
    assert len(np.unique(pairs[:, 0])) == len(np.unique(pairs[:, 1])) == len(pairs)


@pytest.mark.parametrize("seed", range(10))
def test_equal_values_are_all_paired(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 4, 50) / 4, rng.integers(0, 4, 80) / 4
    pairs = match_pairs(first, second, max_difference=0.1)
    np.testing.assert_array_equal(first[pairs[:, 0]], second[pairs[:, 1]])
    assert len(pairs) == sum(min((first == value).sum(), (second == value).sum()) for value in np.unique(first))


def test_a_far_smaller_group_is_kept_completely() -> None:
    pairs = match_pairs(np.full(300, 1.0), np.full(7, 1.0), max_difference=0.0)
    assert sorted(pairs[:, 1]) == list(range(7))


def test_pairs_remove_the_difference_in_duration() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.3, 0.3, 4000), rng.normal(0, 0.3, 4000)
    pairs = match_pairs(first, second, max_difference=0.05)
    kept = first[pairs[:, 0]], second[pairs[:, 1]]
    assert auroc(first, second) > 0.74
    assert auroc(*kept) == pytest.approx(0.5, abs=0.003)
    assert len(pairs) > 2300  # of about 2450 that the densities share


def test_a_hundred_thousand_recordings_take_seconds() -> None:
    rng = np.random.default_rng(0)
    start = time.monotonic()
    pairs = match_pairs(rng.normal(0.2, 0.4, 100_000), rng.normal(0, 0.4, 100_000), max_difference=0.05)
    assert len(pairs) > 70_000
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("match", [match_tuples, match_bins])
@pytest.mark.parametrize("seed", range(5))
def test_tuples_have_one_similar_value_of_each_group(match, seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = [rng.normal(mean, 0.5, size) for mean, size in ((0.2, 90), (0, 60), (0.1, 70))]
    tuples = match(groups, 0.05)
    assert tuples.shape[1] == 3
    assert len(tuples) > 5
    values = np.column_stack([group[column] for group, column in zip(groups, tuples.T, strict=True)])
    assert np.abs(values - values[:, -1:]).max() <= 0.05
    assert all(len(np.unique(column)) == len(column) for column in tuples.T)


def test_tuples_are_in_the_order_of_the_last_group() -> None:
    values = np.array([3.0, 1.0, 2.0])
    np.testing.assert_array_equal(match_tuples([np.sort(values), values], 0.1), [[2, 0], [0, 1], [1, 2]])


@pytest.mark.parametrize("seed", range(10))
def test_bins_have_as_many_tuples_as_their_smallest_group(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = [rng.normal(0, 1, size) for size in (40, 70, 55)]
    bins = [bin_numbers(group, 0.3) for group in groups]
    chosen = bins[0][match_bins(groups, 0.3)[:, 0]]
    for number in np.unique(np.concatenate(bins)):
        assert (chosen == number).sum() == min((numbers == number).sum() for numbers in bins)


@pytest.mark.parametrize(("n_members", "n_nonmembers"), [(500, 500), (5000, 300), (100, 2000)])
def test_distributions_agree_after_proportional_matching(n_members: int, n_nonmembers: int) -> None:
    rng = np.random.default_rng(0)
    members, nonmembers = rng.normal(0.3, 0.3, n_members), rng.normal(0, 0.3, n_nonmembers)
    kept = [
        values[rows]
        for values, rows in zip(
            (members, nonmembers), match_bins_proportionally(members, nonmembers, 0.05), strict=True
        )
    ]
    edges = 0.05 * np.arange(-100, 100)
    below = [np.searchsorted(np.sort(values), edges) / len(values) for values in kept]  # share up to each edge
    assert np.abs(below[0] - below[1]).max() <= 0.5 / len(kept[0]) + 0.5 / len(kept[1]) + 0.01
    assert auroc(*kept) == pytest.approx(0.5, abs=0.01)


def test_the_ratio_is_the_most_informative() -> None:
    rng = np.random.default_rng(1)
    members, nonmembers = rng.normal(0.2, 0.3, 3000), rng.normal(0, 0.3, 300)
    kept = [len(rows) for rows in match_bins_proportionally(members, nonmembers, 0.2)]
    counts = [np.bincount(bin_numbers(values + 10, 0.2), minlength=100) for values in (members, nonmembers)]
    ratios = np.geomspace(0.01, 100, 5000)
    as_many = np.minimum(counts[0], ratios[:, None] * counts[1]).sum(axis=1)
    assert 1 / sum(1 / n for n in kept) == pytest.approx(float((as_many / (1 + ratios)).max()), rel=0.01)
    assert kept[0] > 2 * kept[1]


@pytest.mark.parametrize(("n_members", "n_nonmembers"), [(30, 30), (300, 7), (7, 300)])
def test_equal_distributions_are_kept_completely(n_members: int, n_nonmembers: int) -> None:
    kept = match_bins_proportionally(np.full(n_members, 1.0), np.full(n_nonmembers, 1.0), 0.05)
    assert [len(rows) for rows in kept] == [n_members, n_nonmembers]
    thrice = np.repeat(np.arange(5.0), 3)
    assert [len(rows) for rows in match_bins_proportionally(thrice, np.arange(5.0), 0.5)] == [15, 5]


def test_disjoint_and_empty_groups() -> None:
    assert [len(rows) for rows in match_bins_proportionally(np.arange(3.0), np.arange(5.0, 9.0), 0.5)] == [0, 0]
    assert [len(rows) for rows in match_bins_proportionally(np.empty(0), np.empty(0), 0.5)] == [0, 0]
    assert match_bins([np.empty(0), np.arange(3.0)], 0.5).shape == (0, 2)
    assert match_pairs(np.empty(0), np.empty(0)).shape == (0, 2)
