from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import chisquare

from lightning_mia.splits.sampling.membership import (
    Purpose,
    count_labellings,
    draw_half,
    draw_models,
    other_labellings,
    permute_within_strata,
    stream,
)
from lightning_mia.utilities.errors import InputError


def all_assignments(labels: np.ndarray, strata: np.ndarray) -> set[tuple[bool, ...]]:
    """List all permutations that keep every stratum's count."""

    def counts(candidate: tuple[bool, ...]) -> Counter:
        return Counter(zip(strata.tolist(), candidate, strict=True))

    expected = counts(tuple(labels.tolist()))
    return {p for p in permutations(labels.tolist()) if counts(p) == expected}


def p_uniform(drawn: np.ndarray, possible: set[tuple[bool, ...]]) -> float:
    seen = Counter(map(tuple, drawn.tolist()))
    assert set(seen) == possible
    return chisquare([seen[assignment] for assignment in possible]).pvalue


@pytest.mark.parametrize(
    ("labels", "strata"),
    [
        ("110000", "aaaaaa"),
        ("1010110", "abababb"),  # interleaved strata of two sizes
        ("1100101", "bbaaccd"),  # equal sizes side by side, first_model stratum of a single unit
    ],
)
def test_permutations_are_uniform_over_all_assignments(labels, strata):
    labels, strata = np.array(list(labels)) == "1", np.array(list(strata))
    drawn = permute_within_strata(labels, strata, 20_000, np.random.default_rng(1))
    assert p_uniform(drawn, all_assignments(labels, strata)) > 1e-3


@pytest.mark.parametrize(("labels", "strata"), [("110000", "aaaaaa"), ("1010110", "abababb"), ("1100101", "bbaaccd")])
def test_other_labellings_are_all_but_the_observed_one(labels, strata):
    labels, strata = np.array(list(labels)) == "1", np.array(list(strata))
    possible = all_assignments(labels, strata)
    assert count_labellings(labels, strata) == len(possible)
    others = list(map(tuple, other_labellings(labels, strata, 1000, np.random.default_rng(0)).tolist()))
    assert sorted(others) == sorted(possible - {tuple(labels.tolist())})


def test_other_labellings_are_uniform_if_there_are_more_than_requested():
    labels, strata = np.arange(6) < 3, np.zeros(6)
    drawn = [other_labellings(labels, strata, 5, np.random.default_rng(seed)) for seed in range(2_000)]
    assert all(len(np.unique(rows, axis=0)) == 5 for rows in drawn)
    for number in (0, 4):
        rows = np.array([rows[number] for rows in drawn])
        assert p_uniform(rows, all_assignments(labels, strata) - {tuple(labels.tolist())}) > 1e-3


def test_many_labellings_are_drawn_independently():
    labels, strata = np.arange(40) % 2 == 0, np.zeros(40)
    drawn = other_labellings(labels, strata, 20, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn, permute_within_strata(labels, strata, 20, np.random.default_rng(0)))


def test_halves_are_uniform():
    strata = np.array(list("aabbbb"))
    generator = np.random.default_rng(2)
    drawn = np.array([draw_half(strata, generator) for _ in range(1_500)])
    assert p_uniform(drawn, all_assignments(np.array([1, 0, 1, 1, 0, 0], bool), strata)) > 1e-3


def test_redraws_are_independent_of_each_other():
    drawn = permute_within_strata(np.array([True, False]), np.zeros(2), 40_000, np.random.default_rng(3))
    agreement = np.mean(drawn[0::2, 0] == drawn[1::2, 0])
    assert abs(agreement - 0.5) < 4 * 0.5 / np.sqrt(20_000)


def test_shadows_come_in_complementary_pairs_and_an_odd_last_one():
    strata = np.repeat(np.arange(6), 4)
    models = draw_models(strata, 5, seed=7)
    assert list(models) == ["target", *(f"shadow_{k:03d}" for k in range(5))]
    for first, second in [("shadow_000", "shadow_001"), ("shadow_002", "shadow_003")]:
        np.testing.assert_array_equal(models[first], ~models[second])
    for column in models.values():
        assert (np.bincount(strata, weights=column) == 2).all()


def test_more_shadow_models_keep_the_first_ones():
    strata = np.repeat(np.arange(5), 6)
    large = draw_models(strata, 9, seed=3)
    for n in range(9):
        small = draw_models(strata, n, seed=3)
        assert len(small) == n + 1
        for name, column in small.items():
            np.testing.assert_array_equal(column, large[name])


def test_target_and_pairs_are_independent():
    # Of two units just first_model is IN: the four combinations of (target, first pair) must be equally frequent.
    # Columns drawn from first_model stream, or the target's as a half of a pair, would leave some of them out.
    strata = np.zeros(2)
    columns = [draw_models(strata, 4, seed) for seed in range(1_500)]
    for first_model, second_model in [("target", "shadow_000"), ("target", "shadow_002"), ("shadow_000", "shadow_002")]:
        together = Counter((c[first_model][0], c[second_model][0]) for c in columns)
        assert len(together) == 4
        assert chisquare(list(together.values())).pvalue > 1e-3


def test_streams_of_all_purposes_seeds_and_indices_differ():
    keys = [
        (seed, purpose, i)
        for seed in (0, 1, 2**32, 2**32 + 1)
        for purpose in Purpose.__members__.values()
        for i in (0, 1, 2)
    ]
    first_numbers = {float(stream(*key).random()) for key in keys}
    assert len(first_numbers) == len(keys)


def test_negative_seed_is_rejected():
    with pytest.raises(InputError, match="seed of a split must be 0 or more, but is -1"):
        stream(-1, Purpose.TARGET)
