import numpy as np
import pytest
from sklearn import metrics

from lightning_mia.evaluation import Scores, roc_curve
from lightning_mia.evaluation.statistics.roc import advantages, aurocs_and_advantages, tpr_at_fpr


def make(values: np.ndarray, members: np.ndarray) -> Scores:
    units = np.array([f"u{number}" for number in range(len(values))])
    return Scores("attack", "utterance", "grey-box", False, units, units, members, values)


@pytest.mark.parametrize("n_values", [3, 40, 10**9])
def test_agrees_with_scikit_learn(n_values: int) -> None:
    generator = np.random.default_rng(1)
    values, members = generator.integers(n_values, size=500) / 7.0, generator.random(500) < 0.4
    curve = roc_curve(values, members)
    fpr, tpr, thresholds = metrics.roc_curve(members, values, drop_intermediate=False)
    np.testing.assert_allclose(curve.fpr, fpr, atol=1e-15)
    np.testing.assert_allclose(curve.tpr, tpr, atol=1e-15)
    np.testing.assert_array_equal(curve.thresholds, thresholds)


@pytest.mark.parametrize("fpr", [0.001, 0.01, 0.1, 0.3, 0.999])
@pytest.mark.parametrize("n_values", [1, 4, 10**9])
def test_tpr_is_the_largest_over_thresholds_within_the_fpr(fpr: float, n_values: int) -> None:
    generator = np.random.default_rng(2)
    values, members = generator.integers(n_values, size=60).astype(float), generator.random(60) < 0.5
    candidates = []
    for threshold in [*values, np.inf]:
        positive = values >= threshold
        if positive[~members].mean() <= fpr:
            candidates.append((positive[members].mean(), positive[~members].mean()))
    rate = tpr_at_fpr(make(values, members), fpr)
    assert (rate.tpr, rate.achieved_fpr) == max(candidates)
    assert rate.tpr_ci95[0] <= rate.tpr <= rate.tpr_ci95[1]
    assert rate.achieved_fpr_ci95[0] <= rate.achieved_fpr <= rate.achieved_fpr_ci95[1]


def test_an_fpr_that_is_reached_exactly_is_allowed() -> None:
    values, members = np.arange(60.0), np.arange(60) % 2 == 0  # 30 non-members: 3 of them are exactly 10 %
    assert tpr_at_fpr(make(values, members), 0.1).achieved_fpr == 0.1


@pytest.mark.parametrize(
    ("n_nonmembers", "fpr", "resolvable"), [(1000, 0.01, True), (999, 0.01, False), (100, 0.1, True)]
)
def test_resolvable_requires_ten_false_positives(n_nonmembers: int, fpr: float, resolvable: bool) -> None:
    members = np.arange(n_nonmembers + 50) < 50
    values = np.random.default_rng(3).normal(size=len(members))
    assert tpr_at_fpr(make(values, members), fpr).resolvable is resolvable


@pytest.mark.parametrize("n_values", [1, 4, 10**9])
def test_advantage_is_the_largest_gap_of_the_curve(n_values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_mia.evaluation.statistics.roc.CHUNK", 100)
    generator = np.random.default_rng(4)
    values, labels = generator.integers(n_values, size=40).astype(float), generator.random((30, 40)) < 0.5
    expected = [np.max(curve.tpr - curve.fpr) for curve in (roc_curve(values, row) for row in labels)]
    np.testing.assert_allclose(advantages(values, labels), expected, atol=1e-15)


@pytest.mark.parametrize("n_values", [1, 4, 10**9])
def test_rows_with_different_scores_equal_single_rows(n_values: int) -> None:
    generator = np.random.default_rng(6)
    rows, labels = generator.integers(n_values, size=(30, 40)).astype(float), generator.random((30, 40)) < 0.5
    aurocs, gains = aurocs_and_advantages(rows, labels)
    pairs = list(zip(rows, labels, strict=True))
    np.testing.assert_allclose(
        aurocs, [metrics.roc_auc_score(members, values) for values, members in pairs], atol=1e-12
    )
    np.testing.assert_allclose(gains, [advantages(values, members[None])[0] for values, members in pairs], atol=1e-12)


def test_rows_without_members_are_at_chance() -> None:
    labels = np.array([[True, True], [False, False]])
    assert advantages(np.array([1.0, 2.0]), labels).tolist() == [0.0, 0.0]
    aurocs, gains = aurocs_and_advantages(np.array([[1.0, 2.0]] * 2), labels)
    assert (aurocs.tolist(), gains.tolist()) == ([0.5, 0.5], [0.0, 0.0])


@pytest.mark.parametrize(("n_per_class", "chance"), [(200, 0.06), (10, 0.24)])
def test_chance_gives_a_positive_advantage(n_per_class: int, chance: float) -> None:
    generator = np.random.default_rng(5)
    labels = generator.permuted(np.tile(np.arange(2 * n_per_class) < n_per_class, (2000, 1)), axis=1)
    assert advantages(generator.normal(size=2 * n_per_class), labels).mean() == pytest.approx(chance, abs=0.01)
