import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_curve

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.roc import tpr_at_fpr
from lightning_mia.evaluation.statistics.roc_band import roc_band


def make_scores(values, members, speakers):
    units = np.array([f"u{i}" for i in range(len(values))])
    return Scores("attack", "utterance", "grey-box", False, units, np.array(speakers), members, values)


@pytest.fixture(params=["continuous", "tied"])
def scores(request):
    rng = np.random.default_rng(5)
    members = np.arange(120) % 2 == 0
    values = rng.normal(members * 1.0)
    speakers = [f"s{i // 2 % 12}" for i in range(120)]
    return make_scores(np.round(values) if request.param == "tied" else values, members, speakers)


def test_the_curve_is_that_of_scikit_learn(scores):
    fpr, tpr, _ = roc_curve(scores.members, scores.values, drop_intermediate=False)
    grid = np.array([0.0, 0.01, 1 / 60, 0.25, 0.5, 0.999, 1.0])
    expected = [tpr[fpr <= rate + 1e-12].max() for rate in grid]
    np.testing.assert_allclose(roc_band(scores, grid).tpr, expected, atol=1e-12)


def test_the_band_consists_of_the_intervals_of_the_tpr(scores):
    grid = np.array([0.1, 0.3, 0.6])
    band = roc_band(scores, grid)
    expected = [tpr_at_fpr(scores, fpr).tpr_ci95 for fpr in grid]
    np.testing.assert_allclose(np.stack([band.lower, band.upper], axis=1), expected)


def test_the_band_covers_the_curve_of_the_population():
    rng, grid = np.random.default_rng(3), np.array([0.1, 0.3, 0.6])
    expected = norm.sf(norm.isf(grid) - 1)
    members, covered = np.arange(120) % 2 == 0, []
    for _ in range(200):
        band = roc_band(make_scores(rng.normal(members * 1.0), members, [f"s{i}" for i in range(120)]), grid)
        covered.append((band.lower <= expected) & (expected <= band.upper))
    assert (np.mean(covered, axis=0) >= 0.92).all()


def test_the_band_contains_the_curve_and_stays_within_bounds(scores):
    band = roc_band(scores, np.arange(61) / 60)
    assert np.all((band.lower >= 0) & (band.lower <= band.tpr) & (band.tpr <= band.upper) & (band.upper <= 1))


def test_with_one_speaker_per_class_the_band_is_everything():
    band = roc_band(make_scores(np.arange(6.0), np.arange(6) >= 3, ["a"] * 3 + ["b"] * 3), np.array([0.0, 0.5, 1.0]))
    assert band.tpr.tolist() == [1.0, 1.0, 1.0]
    assert band.lower.tolist() == [0.0] * 3
    assert band.upper.tolist() == [1.0] * 3
