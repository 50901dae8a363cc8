import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm
from scipy.stats import t as student

from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.bootstrap import bootstrap_auroc, draw_speakers
from lightning_mia.evaluation.statistics.intervals import (
    NORMAL_QUANTILE,
    auroc_interval,
    effective_size,
    hanley_mcneil,
    newcombe,
    standard_error,
    t_quantile,
)


def interval(values: np.ndarray, members: np.ndarray, speakers: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    draws = draw_speakers(speakers, members, 300, seed=0)
    replicates = bootstrap_auroc(values, members, draws)
    return auroc_interval(labelled_aurocs(values, members[None])[0], replicates, values, members, draws, level)


def test_the_interval_is_students_t_on_the_logit_scale() -> None:
    generator = np.random.default_rng(0)
    speakers, members = np.repeat(np.arange(8), 10).astype(str), np.tile(np.arange(10) < 5, 8)
    values = generator.normal(size=80) + members
    draws = draw_speakers(speakers, members, 300, seed=0)
    replicates = bootstrap_auroc(values, members, draws)
    auroc = labelled_aurocs(values, members[None])[0]
    half_width = student.ppf(0.975, 7) * replicates.std(ddof=1) / (auroc * (1 - auroc))
    odds = np.exp(np.log(auroc / (1 - auroc)) + np.array([-half_width, half_width]))
    assert auroc_interval(auroc, replicates, values, members, draws) == pytest.approx(tuple(odds / (1 + odds)))


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
    members = np.tile([True, False], 5)
    values = np.arange(10.0)
    assert interval(values, members, np.full(10, "a")) == (0.0, 1.0)
    assert interval(values, members, np.where(members, "a", "b")) == (0.0, 1.0)
    assert t_quantile(0.975, 0) == float("inf")


def test_constant_scores_are_at_chance() -> None:
    members, speakers = np.tile([True, False], 10), np.repeat(np.arange(5), 4).astype(str)
    assert interval(np.zeros(20), members, speakers) == (0.5, 0.5)


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
