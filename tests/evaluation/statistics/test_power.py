import numpy as np
import pytest
from scipy.stats import norm

from lightning_mia.evaluation.results import Difference
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.permutation import NullDistribution, critical_value, p_value
from lightning_mia.evaluation.statistics.power import smallest_detectable_auroc


def redrawn_null(values: np.ndarray, members: np.ndarray, generator: np.random.Generator, n: int) -> NullDistribution:
    labels = generator.permuted(np.tile(members, (n, 1)), axis=1)
    return NullDistribution(labelled_aurocs(values, np.concatenate([members[None], labels])), two_sided=False)


@pytest.mark.parametrize("n_per_class", [10, 40])
def test_the_detectable_auroc_is_detected_in_four_of_five_samples(n_per_class: int) -> None:
    generator = np.random.default_rng(0)
    members = np.arange(2 * n_per_class) < n_per_class
    null = redrawn_null(generator.normal(size=2 * n_per_class), members, generator, 1000)
    smallest = smallest_detectable_auroc(critical_value([null]), null, n_per_class, n_per_class)
    shift = norm.ppf(smallest) * np.sqrt(2)
    detected = [
        p_value(redrawn_null(generator.normal(size=2 * n_per_class) + shift * members, members, generator, 300)) < 0.05
        for _ in range(300)
    ]
    assert np.mean(detected) == pytest.approx(0.8, abs=0.07)


def test_more_units_detect_smaller_leaks_and_too_few_detect_none() -> None:
    generator = np.random.default_rng(1)
    smallest = []
    for n_per_class in (2, 6, 20, 200):
        null = redrawn_null(
            generator.normal(size=2 * n_per_class), np.arange(2 * n_per_class) < n_per_class, generator, 1000
        )
        smallest.append(smallest_detectable_auroc(critical_value([null]), null, n_per_class, n_per_class))
    assert smallest[0] == 1.0
    assert smallest == sorted(smallest, reverse=True)
    assert smallest[-1] == pytest.approx(0.57, abs=0.01)


def test_a_noisy_wrong_model_raises_the_detectable_auroc() -> None:
    generator = np.random.default_rng(2)
    null = redrawn_null(generator.normal(size=80), np.arange(80) < 40, generator, 1000)
    critical = critical_value([null])
    alone, quiet, noisy, unknown = (
        smallest_detectable_auroc(critical, null, 40, 40, difference, quantile=1.73)
        for difference in (None, Difference(0, 0, 0.001, 0.5), Difference(0, 0, 0.09, 0.5), Difference(0, -1, 1.0, 0.5))
    )
    assert alone < quiet < noisy < unknown == 1.0
