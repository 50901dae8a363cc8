"""Paired differences of two attacks."""

from dataclasses import replace

import numpy as np
import pytest

from lightning_mia.evaluation import Scores
from lightning_mia.evaluation.paired import paired_difference


def planted(seed: int, shifts: tuple[float, float], voice: float = 1.0) -> tuple[Scores, Scores]:
    """Plant two attacks with common speaker means and noise."""
    rng = np.random.default_rng(seed)
    speaker, members = np.repeat(np.arange(15), 10), np.tile(np.arange(10) < 5, 15)
    common = voice * rng.normal(size=15)[speaker] + rng.normal(size=150)
    scores = [
        Scores("a", "utterance", "grey-box", False, np.arange(150).astype(str), speaker.astype(str), members, values)
        for values in (common + rng.normal(size=150) + shift * members for shift in shifts)
    ]
    return scores[0], scores[1]


def test_the_interval_covers_zero_and_detects_a_large_difference() -> None:
    covered = []
    for seed in range(60):
        difference = paired_difference(*planted(seed, (1.0, 1.0)), n_bootstraps=300)
        covered.append(difference.ci95[0] <= 0 <= difference.ci95[1])
    assert np.mean(covered) >= 0.88
    assert paired_difference(*planted(0, (0.0, 2.0))).ci95[0] > 0.1


def test_pairing_narrows_the_interval() -> None:
    first, second = planted(1, (1.0, 1.0), voice=3.0)
    low, high = paired_difference(first, second).ci95
    independent = replace(second, values=planted(2, (1.0, 1.0), voice=3.0)[1].values)
    unpaired = paired_difference(first, independent).ci95
    assert high - low < 0.7 * (unpaired[1] - unpaired[0])


def test_the_order_of_units_does_not_matter() -> None:
    first, second = planted(3, (0.5, 1.5))
    order = np.random.default_rng(0).permutation(len(second))
    shuffled = replace(
        second,
        unit_ids=second.unit_ids[order],
        speakers=second.speakers[order],
        members=second.members[order],
        values=second.values[order],
    )
    assert paired_difference(first, shuffled) == paired_difference(first, second)


def test_equal_scores_do_not_differ_but_two_perfect_attacks_may() -> None:
    first, _ = planted(4, (1.0, 1.0))
    assert paired_difference(first, first).ci95 == (0.0, 0.0)
    perfect = [replace(first, values=first.values * scale + 99 * first.members) for scale in (1.0, -1.0)]
    low, high = paired_difference(*perfect).ci95
    assert low < 0 < high


def test_different_units_or_labels_are_rejected() -> None:
    first, second = planted(5, (1.0, 1.0))
    with pytest.raises(ValueError, match="do not have the same units"):
        paired_difference(first, replace(second, members=~second.members))
