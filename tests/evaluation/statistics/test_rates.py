import numpy as np
import pytest
from scipy.stats import beta, binomtest

from lightning_mia.evaluation.statistics.rates import clopper_pearson, design_effect, jeffreys, rate_interval


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (17, 200), (1, 1)])
def test_independent_units_have_clopper_and_pearsons_interval(hits: int, n: int) -> None:
    expected = binomtest(hits, n).proportion_ci(method="exact")
    assert clopper_pearson(hits, n) == pytest.approx(tuple(expected), abs=1e-12)
    if n > 1:
        units = np.array([f"s{number}" for number in range(n)])
        assert rate_interval(np.arange(n) < hits, units) == pytest.approx(tuple(expected), abs=1e-9)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (17, 200)])
def test_jeffreys_interval_is_within_the_exact_one(hits: int, n: int) -> None:
    posterior = beta(hits + 0.5, n - hits + 0.5)
    expected = (0.0 if hits == 0 else posterior.ppf(0.025), 1.0 if hits == n else posterior.ppf(0.975))
    assert jeffreys(hits, n) == pytest.approx(expected)
    exact = clopper_pearson(hits, n)
    assert exact[0] <= jeffreys(hits, n)[0] <= jeffreys(hits, n)[1] <= exact[1]


def test_design_effect_is_the_ratio_of_variances() -> None:
    hits = np.array([1, 1, 1, 0, 0, 0, 1, 0], dtype=bool)
    cluster = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    residuals = [sum(hits[row] - hits.mean() for row in range(8) if cluster[row] == number) for number in range(3)]
    cluster_variance = 3 / 2 * sum(residual**2 for residual in residuals) / 64
    hit_counts, counts = np.bincount(cluster, weights=hits), np.bincount(cluster)
    assert design_effect(hit_counts, counts) == pytest.approx(cluster_variance / (0.25 / 7))


def test_identical_recordings_of_a_speaker_count_once() -> None:
    speakers = np.repeat([f"s{number}" for number in range(20)], 10)
    hits = np.arange(20) < 6
    clustered = rate_interval(np.repeat(hits, 10), speakers)
    alone = rate_interval(hits, np.unique(speakers))
    assert clustered == pytest.approx(alone, abs=0.03)
    assert np.diff(clustered) > 2 * np.diff(clopper_pearson(60, 200))


def test_a_single_speaker_gives_no_interval() -> None:
    assert rate_interval(np.array([True, False]), np.array(["a", "a"])) == (0.0, 1.0)


def test_intervals_cover_the_rate_of_clustered_recordings() -> None:
    generator = np.random.default_rng(0)
    speakers = np.repeat(np.arange(12), 15).astype(str)
    covered = 0
    for _ in range(300):
        speaker_rates = generator.beta(1, 3, size=12)  # mean .25, differing widely
        hits = generator.random(180) < np.repeat(speaker_rates, 15)
        lower, upper = rate_interval(hits, speakers)
        covered += lower <= 0.25 <= upper
    assert covered / 300 > 0.92  # a plain binomial interval: .6
