import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks.frame_networks.attack import pseudo_labels


def scores(n: int) -> pd.Series:
    return pd.Series(np.random.default_rng(0).standard_normal(n), index=[f"u{number:03d}" for number in range(n)])


@pytest.mark.parametrize(("n", "k", "expected"), [(100, 10, 10), (100, 500, 25), (7, 500, 1), (4, 1, 1), (41, 10, 10)])
def test_extremes_are_labelled_and_the_next_validate(n: int, k: int, expected: int) -> None:
    basic = scores(n)
    labels = pseudo_labels(basic, k)
    by_score = sorted(basic.index, key=lambda unit: basic[unit])
    parts = (labels.training, labels.validation)
    groups = [set(part.index[part == label]) for part in parts for label in (1.0, 0.0)]
    assert groups == [
        set(by_score[-expected:]),
        set(by_score[:expected]),
        set(by_score[-2 * expected : -expected]),
        set(by_score[expected : 2 * expected]),
    ]
    assert len(set().union(*groups)) == 4 * expected  # disjoint


def test_labels_do_not_depend_on_the_order_of_rows() -> None:
    basic = scores(40).round(0)
    labels, shuffled = pseudo_labels(basic, 10), pseudo_labels(basic.sample(frac=1, random_state=0), 10)
    pd.testing.assert_series_equal(labels.training, shuffled.training)
    pd.testing.assert_series_equal(labels.validation, shuffled.validation)


def test_fewer_than_four_units_raise() -> None:
    with pytest.raises(ValueError, match="at least 4 units"):
        pseudo_labels(scores(3), 1)
