from itertools import combinations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.permutation import (
    NullDistribution,
    corrected_p_values,
    critical_value,
    holm,
    p_value,
    p_values_of_all,
    p_values_of_largest,
)


def all_labellings(n: int, n_members: int) -> np.ndarray:
    choices = list(combinations(range(n), n_members))
    labels = np.zeros((len(choices), n), dtype=bool)
    for row, members in enumerate(choices):
        labels[row, list(members)] = True
    return labels


@pytest.mark.parametrize("seed", range(5))
def test_with_all_labellings_the_p_value_equals_the_exact_mann_whitney_test(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=10)
    labels = all_labellings(10, 5)  # row 0 is the observed one (members 0 to 4), which must not occur twice
    aurocs = labelled_aurocs(values, labels)
    one_sided = mannwhitneyu(values[:5], values[5:], alternative="greater", method="exact").pvalue
    two_sided = mannwhitneyu(values[:5], values[5:], alternative="two-sided", method="exact").pvalue
    assert p_value(NullDistribution(aurocs, two_sided=False)) == pytest.approx(one_sided)
    assert p_value(NullDistribution(aurocs, two_sided=True)) == pytest.approx(min(1, two_sided))


def test_the_p_value_counts_redraws_at_least_as_extreme_and_the_observed_labels() -> None:
    null = np.array([0.7, 0.5, 0.7, 0.8, 0.2, 0.6])
    assert p_value(NullDistribution(null, two_sided=False)) == 3 / 6
    # the mean is .583: .2 is further from it than .7
    assert p_value(NullDistribution(null, two_sided=True)) == 4 / 6
    assert p_value(NullDistribution(np.full(9, 0.5), two_sided=True)) == 1.0


@pytest.mark.parametrize(("n_speakers", "smallest"), [(6, 0.05), (10, 0.004), (12, 0.0011)])
def test_smallest_possible_p_value_by_number_of_speakers(n_speakers: int, smallest: float) -> None:
    labels = all_labellings(n_speakers, n_speakers // 2)
    aurocs = labelled_aurocs(-np.arange(float(n_speakers)), labels)
    assert aurocs[0] == 1.0
    assert p_value(NullDistribution(aurocs, two_sided=False)) == pytest.approx(smallest, rel=0.02)


def slow_corrected(family: list[NullDistribution]) -> list[float]:
    n_rows = len(family[0].values)
    corrected = []
    for own in family:
        observed = own.standardised()[0]
        beaten = sum(max(null.standardised()[row] for null in family) >= observed for row in range(1, n_rows))
        corrected.append((1 + beaten) / n_rows)
    return corrected


def test_correction_compares_with_the_largest_of_the_family() -> None:
    generator = np.random.default_rng(0)
    family = [NullDistribution(0.5 + 0.1 * generator.normal(size=200), two_sided) for two_sided in (False, True, False)]
    assert corrected_p_values(family) == pytest.approx(slow_corrected(family))
    assert all(corrected_p_values([null])[0] == p_value(null) for null in family)
    assert corrected_p_values([]) == []


def test_duplicate_scores_do_not_change_corrected_p_values() -> None:
    null = NullDistribution(np.random.default_rng(1).normal(size=500), two_sided=False)
    assert corrected_p_values([null, null]) == [p_value(null)] * 2


def test_a_family_has_false_positives_in_five_percent() -> None:
    generator = np.random.default_rng(2)
    false_alarms = 0
    for _ in range(600):
        nulls = generator.normal(size=(4, 200))
        nulls[1] = 0.8 * nulls[0] + 0.6 * nulls[1]  # two of the four attacks are highly correlated
        family = [NullDistribution(row, two_sided=number % 2 == 1) for number, row in enumerate(nulls)]
        false_alarms += min(corrected_p_values(family)) < 0.05
    assert 0.025 < false_alarms / 600 < 0.075


def test_corrected_p_values_are_below_alpha_beyond_the_critical_value() -> None:
    generator = np.random.default_rng(3)
    family = [NullDistribution(generator.normal(size=1001), two_sided) for two_sided in (False, True)]
    critical = critical_value(family)
    largest = np.max([null.standardised() for null in family], axis=0)[1:]

    def p_of(statistic: float) -> float:
        return (1 + np.sum(largest >= statistic)) / 1001

    assert p_of(critical + 1e-9) < 0.05 <= p_of(critical)


@pytest.mark.parametrize(("n_redraws", "reachable"), [(18, False), (19, False), (20, True)])
def test_with_too_few_redraws_no_statistic_is_critical(n_redraws: int, reachable: bool) -> None:
    critical = critical_value([NullDistribution(np.arange(1.0 + n_redraws), two_sided=False)])
    assert np.isfinite(critical) == reachable, "20 labellings allow p = .05, 21 less than that"


def test_the_p_value_of_every_labelling_is_that_of_it_observed() -> None:
    values = np.round(np.random.default_rng(0).normal(size=30), 1)  # with ties
    for two_sided in (False, True):
        null = NullDistribution(values, two_sided)
        expected = [p_value(NullDistribution(np.append(values[i], np.delete(values, i)), two_sided)) for i in range(30)]
        np.testing.assert_allclose(p_values_of_all(null), expected)


def test_the_p_value_of_the_largest_statistic_is_exact() -> None:
    generator = np.random.default_rng(4)
    first = generator.normal(size=1000)
    second = 0.7 * first + generator.normal(size=1000)
    family = [NullDistribution(values, two_sided=False) for values in (first, second)]
    p_values = p_values_of_largest(family)
    for level in (0.01, 0.05, 0.5):
        assert np.mean(p_values <= level) == pytest.approx(level, abs=0.002)
    assert p_values[0] == pytest.approx(min(corrected_p_values(family)))
    np.testing.assert_allclose(p_values_of_largest(family[:1]), p_values_of_all(family[0]))


def step_down(p_values: list[float], alpha: float) -> list[bool]:
    """Reject the smallest p while p ≤ α / n_remaining."""
    rejected = [False] * len(p_values)
    for rank, index in enumerate(np.argsort(p_values)):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected


@pytest.mark.parametrize("seed", range(20))
def test_corrected_p_values_below_alpha_are_those_that_holm_rejects(seed: int) -> None:
    p = np.random.default_rng(seed).beta(0.3, 3, size=12).tolist()
    assert [value <= 0.05 for value in holm(p)] == step_down(p, 0.05)


def test_a_single_test_needs_no_correction() -> None:
    assert holm([]) == []
    assert holm([0.04]) == [0.04]
