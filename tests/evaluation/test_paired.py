from dataclasses import replace

import numpy as np
import pytest

from lightning_mia.evaluation.paired import paired_difference
from lightning_mia.evaluation.scores import Scores


def planted(seed: int, shifts: tuple[float, float], voice: float = 1.0) -> tuple[Scores, Scores]:
    """Two attacks that share the speakers' voices and half of the noise."""
    rng = np.random.default_rng(seed)
    speaker, members = np.repeat(np.arange(15), 10), np.tile(np.arange(10) < 5, 15)
    common = voice * rng.normal(size=15)[speaker] + rng.normal(size=150)
    made = [
        Scores("a", "utterance", "grey-box", False, np.arange(150).astype(str), speaker.astype(str), members, values)
        for values in (common + rng.normal(size=150) + shift * members for shift in shifts)
    ]
    return made[0], made[1]


def test_the_interval_holds_a_difference_of_nothing_and_finds_a_large_one() -> None:
    held = []
    for seed in range(60):
        difference = paired_difference(*planted(seed, (1.0, 1.0)), n_bootstraps=300)
        held.append(difference.ci95[0] <= 0 <= difference.ci95[1])
    assert np.mean(held) >= 0.88
    assert paired_difference(*planted(0, (0.0, 2.0))).ci95[0] > 0.1


def test_pairing_makes_it_narrower_than_two_intervals_apart() -> None:
    first, second = planted(1, (1.0, 1.0), voice=3.0)
    low, high = paired_difference(first, second).ci95
    other = replace(second, values=planted(2, (1.0, 1.0), voice=3.0)[1].values)
    apart = paired_difference(first, other).ci95
    assert high - low < 0.7 * (apart[1] - apart[0])


def test_the_order_of_units_does_not_matter() -> None:
    first, second = planted(3, (0.5, 1.5))
    turn = np.random.default_rng(0).permutation(len(second))
    shuffled = replace(
        second,
        unit_ids=second.unit_ids[turn],
        speakers=second.speakers[turn],
        members=second.members[turn],
        values=second.values[turn],
    )
    assert paired_difference(first, shuffled) == paired_difference(first, second)


def test_the_same_scores_do_not_differ_but_two_perfect_attacks_may() -> None:
    first, _ = planted(4, (1.0, 1.0))
    assert paired_difference(first, first).ci95 == (0.0, 0.0)
    perfect = [replace(first, values=first.values * scale + 99 * first.members) for scale in (1.0, -1.0)]
    low, high = paired_difference(*perfect).ci95
    assert low < 0 < high


def test_other_units_or_labels_are_refused() -> None:
    first, second = planted(5, (1.0, 1.0))
    with pytest.raises(ValueError, match="do not have the same units"):
        paired_difference(first, replace(second, members=~second.members))
