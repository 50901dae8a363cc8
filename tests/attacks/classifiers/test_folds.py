from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import PolynomialFeatures

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.classifiers.examples import ShadowExamples
from lightning_mia.attacks.classifiers.folds import TrainingFold, effects, other_means, training_folds
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs


def planted(n_shadows: int, n_units: int, n_signals: int = 3, seed: int = 0, effect: float = 0.0) -> ShadowExamples:
    """Draw a level for each unit, noise, and `effect` on the last signal of IN units."""
    rng = np.random.default_rng(seed)
    halves = [rng.permutation(np.arange(n_units) % 2 == 1) for _ in range(-(-n_shadows // 2))]
    labels = np.stack([members for half in halves for members in (half, ~half)][:n_shadows])
    own = 2 * rng.standard_normal((n_units, n_signals))
    features = own + rng.standard_normal((n_shadows, n_units, n_signals))
    features[..., -1] += effect * labels
    target = own + rng.standard_normal((n_units, n_signals))
    names = pd.Index([f"u{unit:03d}" for unit in range(n_units)])
    columns = [f"s{signal}" for signal in range(n_signals)]
    return ShadowExamples(columns, features, labels, np.arange(n_shadows) // 2, names, target, names, features)


def folds_of(examples: ShadowExamples, **other: object) -> list[TrainingFold]:
    default = {"calibrated": True, "max_signals": 99, "max_examples": 10**6, "seed": 0}
    return training_folds(examples, **{**default, **other})


def slow_row(examples: ShadowExamples, model: int | None, unit: int, without: set[int]) -> np.ndarray:
    """Compute one example (model None: the target) by loops: plain, minus OUT, minus IN."""
    values = examples.target[unit] if model is None else examples.features[model, unit]
    row = [values]
    for label in (False, True):
        others = [
            examples.challenge[k, unit]
            for k in range(len(examples.pairs))
            if examples.pairs[k] not in without and examples.labels[k, unit] == label
        ]
        row.append(values - np.mean(others, axis=0))
    return np.concatenate(row)


def sorted_rows(*tables: np.ndarray) -> np.ndarray:
    columns = [np.asarray(table, dtype=np.float64).reshape(len(tables[0]), -1) for table in tables]
    rows = np.concatenate(columns, axis=1)
    return rows[np.lexsort(rows.T)]


def test_left_out_pair_is_in_no_mean() -> None:
    examples = planted(8, 20)
    folds = folds_of(examples)
    assert len(folds) == 4
    for left_out, fold in enumerate(folds):
        learning = [k for k in range(8) if k // 2 != left_out]
        rows = [slow_row(examples, k, unit, {k // 2, left_out}) for k in learning for unit in range(20)]
        labels = [examples.labels[k, unit] for k in learning for unit in range(20)]
        np.testing.assert_allclose(
            sorted_rows(fold.features, fold.labels), sorted_rows(np.array(rows), np.array(labels)), atol=1e-5
        )
        others = [
            slow_row(examples, k, unit, {left_out}) for k in (2 * left_out, 2 * left_out + 1) for unit in range(20)
        ]
        np.testing.assert_allclose(sorted_rows(fold.left_out), sorted_rows(np.array(others)), atol=1e-5)
        target = [slow_row(examples, None, unit, {left_out}) for unit in range(20)]
        np.testing.assert_allclose(fold.target, target, atol=1e-5)
        assert fold.features.dtype == fold.left_out.dtype == fold.target.dtype == np.float32


def test_two_pairs_leave_out_units() -> None:
    examples = planted(4, 23)
    folds = folds_of(examples)
    assert len(folds) == 5
    everything = np.array([slow_row(examples, k, unit, {k // 2}) for k in range(4) for unit in range(23)])
    results = []
    for fold in folds:
        assert fold.left_out.shape == (4 * 4, 9)
        np.testing.assert_allclose(
            sorted_rows(np.concatenate([fold.features, fold.left_out])), sorted_rows(everything), atol=1e-5
        )
        np.testing.assert_allclose(fold.target, [slow_row(examples, None, u, set()) for u in range(23)], atol=1e-5)
        results.append(fold.left_out[:, 0])
    assert len(np.unique(np.concatenate(results))) == 5 * 16  # no unit is left out twice


def test_single_pair_is_not_calibrated_and_unpaired_models_are_dropped() -> None:
    alone, third = folds_of(planted(2, 20)), folds_of(planted(3, 20))
    assert alone[0].features.shape == third[0].features.shape == (2 * 16, 3)
    assert len(folds_of(planted(7, 20))) == 3
    with pytest.raises(CannotRun, match="needs a complementary pair of shadow models, and there is none among 1"):
        folds_of(planted(1, 20))
    with pytest.raises(CannotRun, match="needs 10 units to leave some out, and there are 9"):
        folds_of(planted(4, 9))


def test_uncalibrated_folds_have_plain_signals_only() -> None:
    examples = planted(6, 20)
    for fold in folds_of(examples, calibrated=False):
        np.testing.assert_allclose(fold.target, examples.target, atol=1e-6)


def test_shadow_models_from_a_pool_are_out_for_the_challenge_set() -> None:
    own, other = planted(6, 30, seed=0), planted(6, 12, seed=1)
    examples = replace(own, target=other.target, units=other.units, challenge=other.features)
    for left_out, fold in enumerate(folds_of(examples)):
        assert fold.features.shape == (4 * 30, 6) and fold.target.shape == (12, 6)
        mean = other.features[own.pairs != left_out].mean(axis=0)
        np.testing.assert_allclose(fold.target, np.concatenate([other.target, other.target - mean], axis=1), atol=1e-5)


def test_strongest_signals_and_sampled_units_are_kept() -> None:
    examples = planted(6, 100, n_signals=20, effect=1.5)
    for fold in folds_of(examples, max_signals=2):
        assert fold.features.shape == (4 * 100, 6)
        assert (np.abs(fold.target[:, [1]] - examples.target[:, [-1]]) < 1e-6).all()
    few = folds_of(examples, max_examples=240)
    assert few[0].features.shape == (4 * 40, 60) and few[0].target.shape == (100, 60)
    again, other = folds_of(examples, max_examples=240), folds_of(examples, max_examples=240, seed=1)
    np.testing.assert_array_equal(few[0].features, again[0].features)
    assert not np.array_equal(few[0].features, other[0].features)


Learner = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def by_quadratics(features: np.ndarray, labels: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """Classify by quadratic features, which include spreads."""
    expand = PolynomialFeatures(2)
    fitted = LogisticRegression(C=1e3, max_iter=300).fit(expand.fit_transform(features), labels)
    return fitted.decision_function(expand.transform(scored))


def by_neighbours(features: np.ndarray, labels: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """Classify by the nearest example regardless of sign: a − b is as far from 0 as b − a."""
    return KNeighborsClassifier(1).fit(np.abs(features), labels).predict_proba(np.abs(scored))[:, 1]


def left_out_auroc(fold: TrainingFold, learn: Learner) -> float:
    scores = learn(fold.features, fold.labels, fold.left_out)
    return float(labelled_aurocs(scores, fold.left_out_labels[None])[0])


@pytest.mark.slow
@pytest.mark.parametrize("learn", [by_quadratics, by_neighbours])
@pytest.mark.parametrize("n_shadows", [2, 4, 6, 8])
def test_left_out_examples_of_noise_are_at_chance(n_shadows: int, learn: Learner) -> None:
    """Selection on left-out examples is unbiased only if this holds; the standard error is .01 or less."""
    results = [
        left_out_auroc(fold, learn)
        for seed in range(12)
        for fold in folds_of(planted(n_shadows, 50, seed=seed), max_signals=2)
    ]
    assert abs(np.mean(results) - 0.5) < 0.03


def test_calibrating_with_the_left_out_pair_would_leak() -> None:
    """With two pairs, leaving out one and calibrating each by the other leaks.

    Two OUT models are then each other's mean, and their examples differ only in sign.
    """
    results = []
    for seed in range(6):
        examples = planted(4, 50, seed=seed)
        features = examples.features - other_means(examples.features, ~examples.labels, examples.pairs)
        learn, rest = features[:2].reshape(-1, 3), features[2:].reshape(-1, 3)
        scores = by_neighbours(learn, examples.labels[:2].ravel(), rest)
        results.append(labelled_aurocs(scores, examples.labels[2:].ravel()[None])[0])
    assert np.mean(results) > 0.7


def test_effect_is_a_difference_in_standard_deviations() -> None:
    rng = np.random.default_rng(0)
    inside, outside = rng.normal([1, 0, 2], [1, 1, 0], (5000, 3)), rng.normal([0, 0, 2], [1, 3, 0], (5000, 3))
    np.testing.assert_allclose(effects(inside, outside), [1, 0, 0], atol=0.05)
