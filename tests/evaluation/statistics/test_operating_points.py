"""True positive rates at fixed false positive rates."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from lightning_mia.evaluation.results import NO_INTERVAL
from lightning_mia.evaluation.statistics.operating_points import OperatingPoints


def independent(n: int, shift: float, generator: np.random.Generator) -> OperatingPoints:
    """Draw n members and n non-members, each of a speaker of its own."""
    members = np.arange(2 * n) < n
    return OperatingPoints.of(generator.normal(size=2 * n) + shift * members, members, np.arange(2 * n).astype(str))


@pytest.mark.parametrize("fpr", [0.02, 0.1, 0.3])
def test_the_interval_counts_the_error_of_the_threshold(fpr: float) -> None:
    """An interval for a known threshold covers in 51, 73 and 88 %."""
    generator = np.random.default_rng(0)
    expected, covered = norm.sf(norm.isf(fpr) - 1.5), 0
    for _ in range(300):
        lower, upper = independent(300, 1.5, generator).tpr_interval(fpr)
        covered += lower <= expected <= upper
    assert covered / 300 >= 0.93


@pytest.mark.parametrize("one_sided", [True, False])
def test_the_interval_covers_clustered_recordings(one_sided: bool) -> None:
    generator = np.random.default_rng(1)
    speaker = np.repeat(np.arange(40), 20)
    members = speaker < 20 if one_sided else np.tile(np.arange(20) < 10, 40)
    expected, covered, widths = norm.sf(norm.isf(0.1) - 1), 0, []
    for _ in range(200):
        values = (generator.normal(size=40)[speaker] + generator.normal(size=800)) / np.sqrt(2) + members
        lower, upper = OperatingPoints.of(values, members, speaker.astype(str)).tpr_interval(0.1)
        covered += lower <= expected <= upper
        widths.append(upper - lower)
    assert covered / 200 >= 0.92
    assert np.mean(widths) < (0.5 if one_sided else 0.3)  # speaker effects cancel if each has both


def test_the_threshold_has_no_upper_limit_if_few_false_positives_are_expected() -> None:
    points = independent(200, 5.0, np.random.default_rng(2))
    assert points.tpr(0.01) > 0.9
    assert points.tpr_interval(0.01)[0] < 0.1
    assert points.tpr_interval(0.1)[0] > 0.9


def test_limits_of_the_threshold_are_order_statistics() -> None:
    n, fpr = 100, 0.1
    nonmembers = np.arange(n, 0, -1.0)  # the r-th highest is n + 1 − r
    members = np.arange(n, 0, -1.0) + 0.5
    points = OperatingPoints(members, nonmembers, np.arange(n), n + np.arange(n), 2 * n)
    upper_rank = max(r for r in range(n) if binom.sf(r - 1, n, fpr) >= 0.975)  # below it with 97.5 %
    lower_rank = min(r for r in range(n) if binom.sf(r - 1, n, fpr) <= 0.025)
    at_least, above = np.mean(members >= n + 1 - upper_rank), np.mean(members > n + 1 - lower_rank)
    assert points._tpr_at_limits(fpr, n, 0.95) == (at_least, above)


def test_the_interval_contains_the_rate_and_stays_within_bounds() -> None:
    generator = np.random.default_rng(3)
    for n_values in (2, 5, 10**6):
        members, speakers = np.arange(80) % 2 == 0, (np.arange(80) // 8).astype(str)
        points = OperatingPoints.of(generator.integers(n_values, size=80) + members, members, speakers)
        for fpr in (0.0, 0.01, 0.1, 0.5, 0.99, 1.0):
            lower, upper = points.tpr_interval(fpr)
            assert 0 <= lower <= points.tpr(fpr) <= upper <= 1
            assert upper - lower > 0.02 or fpr > 0.9


def test_one_speaker_on_a_side_gives_no_interval() -> None:
    members = np.arange(20) < 10
    speakers = np.where(members, "a", np.arange(20).astype(str))
    assert OperatingPoints.of(np.arange(20.0), members, speakers).tpr_interval(0.1) == NO_INTERVAL


@pytest.mark.parametrize("one_sided", [True, False])
def test_the_interval_covers_few_speakers_who_leak_unequally(one_sided: bool) -> None:
    """The few misses alone do not reveal how much speakers differ: without the ranks it covers in 87 and 88 %."""
    generator = np.random.default_rng(4)
    n_speakers, sd, shift = (20, 2.0, 4.2) if one_sided else (10, 2.0, 4.2)
    speaker = np.repeat(np.arange(n_speakers), 20)
    members = speaker < n_speakers // 2 if one_sided else np.tile(np.arange(20) < 10, n_speakers)
    expected = norm.sf((norm.isf(0.1) * np.sqrt(1.25) - shift) / np.sqrt(1.25 + sd**2))
    covered = 0
    for _ in range(300):
        shifts = shift + sd * generator.normal(size=n_speakers)
        values = 0.5 * generator.normal(size=n_speakers)[speaker] + generator.normal(size=len(speaker))
        points = OperatingPoints.of(values + shifts[speaker] * members, members, speaker.astype(str))
        lower, upper = points.tpr_interval(0.1)
        covered += lower <= expected <= upper
    assert covered / 300 >= 0.93


def test_the_interval_covers_rounded_scores() -> None:
    """With a threshold among tied scores, whose neighbours are far away; distances by squares cover in 88 %."""
    generator = np.random.default_rng(5)
    speaker, members = np.repeat(np.arange(6), 20), np.tile(np.arange(20) < 10, 6)
    expected = norm.sf((1.5 - 1.2) / np.sqrt(1.25))  # P(non-member > 1.5) = .09, > .5 = .33
    covered = 0
    for _ in range(300):
        values = 0.5 * generator.normal(size=6)[speaker] + generator.normal(size=120) + 1.2 * members
        lower, upper = OperatingPoints.of(np.round(values), members, speaker.astype(str)).tpr_interval(0.1)
        covered += lower <= expected <= upper
    assert covered / 300 >= 0.93
