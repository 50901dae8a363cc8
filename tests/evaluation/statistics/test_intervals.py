import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm
from scipy.stats import t as student

from lightning_mia.evaluation.results import NO_INTERVAL
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.bootstrap import bootstrap_auroc, draw_speakers
from lightning_mia.evaluation.statistics.intervals import (
    NORMAL_QUANTILE,
    auroc_interval,
    effective_size,
    effective_sizes,
    hanley_mcneil,
    newcombe,
    standard_error,
)


def interval(values: np.ndarray, members: np.ndarray, speakers: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    draws = draw_speakers(speakers, members, 300, seed=0)
    replicates = bootstrap_auroc(values, members, draws)
    return auroc_interval(labelled_aurocs(values, members[None])[0], replicates, values, members, draws, level)


def test_the_interval_is_the_wider_of_students_t_on_the_logit_scale_and_newcombes() -> None:
    generator = np.random.default_rng(0)
    speakers, members = np.repeat(np.arange(8), 10).astype(str), np.tile(np.arange(10) < 5, 8)
    for leak in (0.0, 1.0, 3.0):
        values = generator.normal(size=80) + leak * members
        draws = draw_speakers(speakers, members, 300, seed=0)
        replicates = bootstrap_auroc(values, members, draws)
        auroc = labelled_aurocs(values, members[None])[0]
        clipped = np.clip(replicates, 1 / 160, 159 / 160)
        spreads = replicates.std(ddof=1) / (auroc * (1 - auroc)), np.log(clipped / (1 - clipped)).std(ddof=1)
        half_width = student.ppf(0.975, 7) * np.mean(spreads)
        odds = np.exp(np.log(auroc / (1 - auroc)) + np.array([-half_width, half_width]))
        lower, upper = odds / (1 + odds)
        floor = newcombe(auroc, *effective_sizes(values, members, draws.speaker), 0.84 * norm.ppf(0.975))
        expected = (min(lower, floor[0]), max(upper, floor[1]))
        assert interval(values, members, speakers) == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("n_speakers", [6, 12])
def test_intervals_cover_speakers_who_leak_unequally(n_speakers: int) -> None:
    """Bootstrap and Student's t alone cover in 82 and 85 %."""
    generator = np.random.default_rng(6)
    speaker, members = np.repeat(np.arange(n_speakers), 20), np.tile(np.arange(20) < 10, n_speakers)
    mean_shift = norm.ppf(0.95) * np.sqrt(2 + 2**2)
    covered = 0
    for _ in range(250):
        shifts = mean_shift + 2 * generator.normal(size=n_speakers)
        lower, upper = interval(generator.normal(size=len(speaker)) + shifts[speaker] * members, members, speaker)
        covered += lower <= 0.95 <= upper
    assert covered / 250 >= 0.92


@pytest.mark.slow
@pytest.mark.parametrize("true_auroc", [0.5, 0.87])
def test_intervals_cover_clustered_recordings(true_auroc: float) -> None:
    generator = np.random.default_rng(1)
    n_speakers, n_clips, n_runs = 10, 20, 250
    speaker = np.repeat(np.arange(n_speakers), n_clips)
    half = np.tile(np.arange(n_clips) < n_clips // 2, (n_speakers, 1))
    shift = norm.ppf(true_auroc) * np.sqrt(2 + 2 * 0.7**2)
    covered = 0
    for _ in range(n_runs):
        members = generator.permuted(half, axis=1).ravel()
        speaker_means = 0.7 * generator.normal(size=n_speakers)
        values = speaker_means[speaker] + generator.normal(size=len(speaker)) + shift * members
        lower, upper = interval(values, members, speaker.astype(str))
        covered += lower <= true_auroc <= upper
    assert 0.91 <= covered / n_runs <= 0.985


@pytest.mark.parametrize("true_auroc", [0.5, 0.92])
def test_intervals_cover_with_twelve_speakers(true_auroc: float) -> None:
    generator = np.random.default_rng(2)
    members, speakers = np.arange(12) < 6, np.arange(12).astype(str)
    covered = 0
    for _ in range(300):
        values = generator.normal(size=12) + norm.ppf(true_auroc) * np.sqrt(2) * members
        lower, upper = interval(values, members, speakers)
        covered += lower <= true_auroc <= upper
    assert 0.92 <= covered / 300 <= 0.99


def test_one_unit_per_speaker_has_newcombes_interval() -> None:
    members, values = np.arange(20) < 8, np.random.default_rng(3).normal(size=20)
    auroc = labelled_aurocs(values, members[None])[0]
    assert interval(values, members, np.arange(20).astype(str)) == pytest.approx(newcombe(auroc, 8, 12), abs=1e-6)
    interval90 = interval(values, members, np.arange(20).astype(str), level=0.90)
    assert interval90 == pytest.approx(newcombe(auroc, 8, 12, norm.ppf(0.95)))


def test_a_perfect_attack_has_an_interval_that_is_wider_for_similar_recordings() -> None:
    speakers, members = np.repeat(np.arange(10), 20).astype(str), np.tile(np.arange(20) < 10, 10)
    generator = np.random.default_rng(4)
    independent = interval(100.0 * members + generator.normal(size=200), members, speakers)
    similar = interval(100.0 * members + 10 * np.repeat(generator.normal(size=10), 20), members, speakers)
    assert independent[1] == similar[1] == 1.0
    assert similar[0] < independent[0] < 0.99
    flipped = interval(-100.0 * members + generator.normal(size=200), members, speakers)
    assert flipped[0] == 0.0 < flipped[1] < 0.1


def test_too_few_speakers_have_no_interval() -> None:
    members, values = np.tile([True, False], 15), np.random.default_rng(7).normal(size=30)
    assert interval(values, members, np.full(30, "a")) == NO_INTERVAL
    assert interval(values, members, np.where(members, "a", "b")) == NO_INTERVAL
    four, five = (np.arange(30) // 2 % n for n in (4, 5))
    assert interval(values, members, four) == NO_INTERVAL
    assert interval(values, members, five) != NO_INTERVAL
    two_against_many = np.where(members, np.arange(30) % 4, np.arange(30))
    assert interval(values, members, two_against_many) == NO_INTERVAL
    three_against_three = np.where(members, np.arange(30) // 2 % 3, 3 + np.arange(30) // 2 % 3)
    assert interval(values, members, three_against_three) != NO_INTERVAL


def test_two_speakers_with_four_recordings_have_no_interval() -> None:
    """Their bootstrap hardly varies, although nothing is known about a third speaker."""
    members, speakers = np.tile([True, True, False, False], 2), np.repeat(["a", "b"], 4)
    values = np.array([4.0, 3.0, 2.0, 1.0, 4.1, 2.9, 3.5, 1.1])
    assert interval(values, members, speakers) == NO_INTERVAL


def test_only_perfect_attacks_may_end_at_their_auroc() -> None:
    generator = np.random.default_rng(8)
    for seed in range(30):
        n_speakers = int(generator.integers(5, 9))
        speakers, members = np.repeat(np.arange(n_speakers), 4), np.tile(np.arange(4) < 2, n_speakers)
        values = generator.integers(3, size=len(members)) + seed % 3 * members
        auroc = labelled_aurocs(values, members[None])[0]
        lower, upper = interval(values, members, speakers)
        assert lower < auroc or auroc == 0
        assert upper > auroc or auroc == 1
        assert upper - lower > 0.02


def test_constant_scores_have_the_interval_of_independent_speakers() -> None:
    members, speakers = np.tile([True, False], 10), np.repeat(np.arange(5), 4).astype(str)
    expected = newcombe(0.5, 5, 5, student.ppf(0.975, 4))
    assert interval(np.zeros(20), members, speakers) == pytest.approx(expected, abs=1e-9)


def test_standard_error_ignores_replicates_without_members_or_non_members() -> None:
    assert standard_error(np.array([0.4, np.nan, 0.6])) == pytest.approx(np.std([0.4, 0.6], ddof=1))
    assert np.isnan(standard_error(np.array([np.nan, 0.5])))


def test_effective_size_is_between_speakers_and_recordings() -> None:
    generator = np.random.default_rng(5)
    cluster = np.repeat(np.arange(30), 10)
    speaker_means = np.repeat(generator.normal(size=30), 10)
    assert effective_size(speaker_means, cluster) == pytest.approx(30)
    assert effective_size(generator.normal(size=300), cluster) > 200
    halfway = effective_size(speaker_means + generator.normal(size=300), cluster)
    assert halfway == pytest.approx(300 / (1 + 9 * 0.5), rel=0.25)
    assert effective_size(speaker_means[::10], cluster[::10]) == 30
    assert effective_size(generator.normal(size=10), np.zeros(10, dtype=int)) == 1


def test_effects_of_speakers_cancel_unless_members_differ_in_them() -> None:
    generator = np.random.default_rng(9)
    speaker, members = np.repeat(np.arange(30), 20), np.tile(np.arange(20) < 10, 30)
    noise, effects = generator.normal(size=600), 3 * generator.normal(size=30)[speaker]
    assert effective_sizes(noise, members, speaker) == pytest.approx((300, 300), rel=0.25)
    cancelled = effective_sizes(noise + effects, members, speaker)
    assert min(cancelled) > 1000  # less variance than that of independent units, whose effects do not cancel
    n_members, n_nonmembers = effective_sizes(noise + effects * members, members, speaker)
    assert n_members == pytest.approx(30 / 0.9, rel=0.15)
    assert n_nonmembers == pytest.approx(300, rel=0.25)


def test_speakers_on_one_side_have_separate_effective_sizes() -> None:
    generator = np.random.default_rng(10)
    speaker, values = np.repeat(np.arange(30), 10), generator.normal(size=300)
    members = speaker < 12
    expected = tuple(effective_size(values[group], speaker[group]) for group in (members, ~members))
    assert effective_sizes(values, members, speaker) == expected


@pytest.mark.parametrize("auroc", [0.0, 0.2, 0.5, 0.83, 1.0])
@pytest.mark.parametrize(("n_members", "n_nonmembers"), [(6, 6), (20, 35), (200, 200), (7.5, 3.2)])
def test_bounds_are_the_ends_of_a_search_over_candidates(auroc: float, n_members: float, n_nonmembers: float) -> None:
    candidates = np.linspace(0, 1, 20_001)[1:-1]
    inside = [
        candidate
        for candidate in candidates
        if abs(candidate - auroc) <= NORMAL_QUANTILE * hanley_mcneil(candidate, n_members, n_nonmembers)
    ]
    assert newcombe(auroc, n_members, n_nonmembers) == pytest.approx((min(inside), max(inside)), abs=2e-4)


def test_flipping_the_scores_flips_the_interval() -> None:
    lower, upper = newcombe(0.8, 12, 30)
    assert newcombe(0.2, 30, 12) == pytest.approx((1 - upper, 1 - lower), abs=1e-9)


def test_standard_error_at_chance_is_mann_and_whitneys() -> None:
    sizes = np.array([6, 9])
    exact = np.sqrt((sizes.sum() + 1) / (12 * sizes.prod()))
    assert hanley_mcneil(0.5, *sizes) == pytest.approx(exact)
    values = np.random.default_rng(0).normal(size=(2000, 15))
    statistics = mannwhitneyu(values[:, :6], values[:, 6:], axis=1).statistic / sizes.prod()
    assert statistics.std() == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("quantile", [1e-6, 1.0, 1e3, 1e7, 1e12])
@pytest.mark.parametrize("observed", [0.0, 1e-13, 0.02, 0.5, 0.97, 1.0])
def test_newcombes_interval_exists_at_any_quantile(observed: float, quantile: float) -> None:
    lower, upper = newcombe(observed, 3.5, 12.0, quantile)
    assert 0 <= lower <= observed <= upper <= 1
    wider = newcombe(observed, 3.5, 12.0, 10 * quantile)
    assert wider[0] <= lower + 1e-9
    assert wider[1] >= upper - 1e-9
