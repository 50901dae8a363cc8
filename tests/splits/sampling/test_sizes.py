import logging

import numpy as np
import pytest

from lightning_mia.splits.sampling.sizes import check_sizes, divide_proportionally, shrink, warn_if_shrunk, water_fill
from lightning_mia.utilities.errors import InputError


def fill_one_by_one(capacities: list[int], total: int) -> list[int]:
    """Add units, each to the smallest share below its capacity."""
    shares = [0] * len(capacities)
    for _ in range(total):
        available = [i for i, capacity in enumerate(capacities) if shares[i] < capacity]
        shares[min(available, key=lambda i: shares[i])] += 1
    return shares


@pytest.mark.parametrize("seed", range(30))
def test_water_fill_agrees_with_adding_units_one_by_one(seed):
    generator = np.random.default_rng(seed)
    capacities = generator.integers(1, 40, size=generator.integers(2, 12))
    total = int(generator.integers(1, capacities.sum() + 1))
    shares = water_fill(capacities, total, generator)
    assert shares.sum() == total
    assert (shares <= capacities).all()
    assert sorted(shares) == sorted(fill_one_by_one(capacities.tolist(), total))


@pytest.mark.parametrize("seed", range(30))
def test_division_is_within_one_of_the_exact_proportion(seed):
    generator = np.random.default_rng(seed)
    shares = generator.integers(0, 30, size=12) + np.eye(12, dtype=int)[0]
    total = int(generator.integers(0, shares.sum() + 1))
    parts = divide_proportionally(total, shares)
    assert parts.sum() == total
    assert ((parts >= 0) & (parts <= shares)).all()
    assert np.abs(parts - total * shares / shares.sum()).max() < 1


@pytest.mark.parametrize(
    ("requested", "available", "expected"),
    [
        ((400, 200), 600, (400, 200)),
        ((401, 0), 600, (400, 0)),  # even, so that half can be IN
        ((400, 200), 599, (398, 200)),
        ((40, 10), 20, (16, 4)),
        ((40, 10), 9, (8, 1)),  # the proportion would leave 6
        ((400, 200), 8, (8, 0)),
        ((8, 1000), 100, (8, 92)),
    ],
)
def test_sizes_are_upper_bounds_that_shrink_in_proportion(requested, available, expected):
    assert shrink(requested, available, "utterances") == expected


def test_reduced_sizes_are_logged(caplog):
    with caplog.at_level(logging.WARNING):
        warn_if_shrunk((400, 200), (400, 200), "utterances")
        warn_if_shrunk((400, 200), (60, 30), "utterances")
    (line,) = caplog.messages
    assert line == "400 challenge and 200 auxiliary utterances were requested, but the corpus has 60 and 30"


@pytest.mark.parametrize("available", [0, 7])
def test_too_few_units_are_rejected(available):
    with pytest.raises(InputError, match=f"has {available} usable speakers, but at least 4 members") as error:
        shrink((400, 200), available, "speakers")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("n_units", "n_auxiliary", "name"), [(7, 0, "n_units"), (-1, 0, "n_units"), (8, -1, "n_auxiliary")]
)
def test_impossible_sizes_are_rejected(n_units, n_auxiliary, name):
    with pytest.raises(InputError, match=f"^{name} must be"):
        check_sizes(n_units, n_auxiliary)
