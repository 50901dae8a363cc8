import math

import numpy as np
import pytest
from scipy.special import digamma

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.shadow_models.own_variances import own_variances


def fleet(
    n_shadows: int, n: int, log_sd: float = 0.0, tails: float | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw shadows (K, n), chosen models (K, n), half of them, and the units' variances (n,), lognormal."""
    rng = np.random.default_rng(seed)
    half = rng.random((n_shadows // 2, n)) < 0.5
    chosen = np.stack([half, ~half], axis=1).reshape(-1, n)
    variances = np.exp(log_sd * rng.standard_normal(n))
    noise = rng.standard_normal(chosen.shape) if tails is None else rng.standard_t(tails, chosen.shape)
    return 3 * rng.standard_normal(n) + np.sqrt(variances) * noise, chosen, variances


def sample_variance(values: list[float]) -> float:
    centre = sum(values) / len(values)
    return sum((x - centre) ** 2 for x in values) / (len(values) - 1)


def unbiased_log(values: list[float]) -> float:
    half = (len(values) - 1) / 2
    return math.log(sample_variance(values)) - float(digamma(half)) + math.log(half)


def reliability(halves: list[tuple[float, float]]) -> float:
    if len(halves) < 3:
        return 0.0
    r = float(np.corrcoef(np.array(halves).T)[0, 1])
    r = max(r, 0) * max(0, 1 - (1 - r**2) ** 2 / len(halves) / r**2)
    return 2 * r / (1 + r)


def slow_variances(shadows: np.ndarray, groups: list[np.ndarray]) -> list[list[float]]:
    """Shrink the mean of the log variances over groups, and the difference of each group from it."""
    n = shadows.shape[1]
    own = [[list(shadows[group[:, unit], unit]) for group in groups] for unit in range(n)]
    known = [all(len(x) > 1 for x in values) for values in own]
    in_halves = [all(len(x[0::2]) > 1 and len(x[1::2]) > 1 for x in values) for values in own]

    def mean_and_differences(values: list[list[float]]) -> list[float]:
        logs = [unbiased_log(x) for x in values]
        return [sum(logs) / len(logs), *(log - sum(logs) / len(logs) for log in logs)]

    parts = [mean_and_differences(values) if ok else None for values, ok in zip(own, known, strict=True)]
    halves = [
        list(zip(*(mean_and_differences([x[start::2] for x in values]) for start in (0, 1)), strict=True))
        for values, ok in zip(own, in_halves, strict=True)
        if ok
    ]
    moved = []
    for place in range(len(groups) + 1):
        values = [part[place] for part in parts if part is not None]
        centre = sum(values) / len(values)
        weight = reliability([half[place] for half in halves]) if place == 0 or len(groups) > 1 else 0.0
        moved.append([weight * (part[place] - centre) if part is not None else 0.0 for part in parts])
    result = []
    for number in range(len(groups)):
        factors = [math.exp(moved[0][unit] + moved[number + 1][unit]) for unit in range(n)]
        several = [values[number] for values in own if len(values[number]) > 1]
        pooled = sum(sample_variance(x) * (len(x) - 1) for x in several) / sum(len(x) - 1 for x in several)
        result.append([pooled * factor / (sum(factors) / n) for factor in factors])
    return result


@pytest.mark.parametrize(("n_shadows", "log_sd"), [(4, 1.0), (8, 0.0), (16, 1.5), (20, 1.0), (64, 0.5)])
@pytest.mark.parametrize("n_groups", [1, 2])
def test_variances_equal_the_formula_in_loops(n_shadows: int, log_sd: float, n_groups: int) -> None:
    shadows, chosen, _ = fleet(n_shadows, 50, log_sd)
    chosen[1:, 0] = False  # one model or none
    groups = [chosen, ~chosen][:n_groups]
    for variances, expected in zip(own_variances(shadows, groups), slow_variances(shadows, groups), strict=True):
        assert np.allclose(variances, expected, rtol=1e-9)


def test_units_whose_members_vary_less_are_found() -> None:
    shadows, chosen, _ = fleet(64, 2000)
    calm = np.arange(2000) < 1000
    shadows = np.where(chosen & calm, shadows.mean(0) + 0.3 * (shadows - shadows.mean(0)), shadows)
    inside, outside = own_variances(shadows, [chosen, ~chosen])
    ratio = np.log(inside / outside)
    assert ratio[~calm].mean() - ratio[calm].mean() > 0.8 * np.log(1 / 0.09)


@pytest.mark.parametrize("tails", [None, 3.0])
def test_equal_variances_are_pooled(tails: float | None) -> None:
    for n_shadows in (8, 64, 256):
        shadows, chosen, _ = fleet(n_shadows, 2000, tails=tails)
        assert all(np.log(variances).std() < 0.05 for variances in own_variances(shadows, [chosen, ~chosen]))


def test_unequal_variances_are_found_with_many_models() -> None:
    errors = []
    for n_shadows in (8, 16, 64, 256):
        shadows, chosen, variances = fleet(n_shadows, 2000, log_sd=1.0)
        errors.append(float(np.std(np.log(own_variances(shadows, [chosen])[0] / variances))))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < 0.95 and errors[-1] < 0.15  # pooled: 1


def test_four_models_do_not_suffice_for_halves() -> None:
    shadows, chosen, _ = fleet(4, 100, log_sd=1.0)
    assert np.ptp(own_variances(shadows, [chosen])[0]) < 1e-12


def test_constant_signals_have_a_finite_variance() -> None:
    _, chosen, _ = fleet(16, 30)
    assert (own_variances(np.zeros(chosen.shape), [chosen])[0] > 0).all()


def test_single_models_have_no_variance() -> None:
    with pytest.raises(CannotRun, match="to estimate their variance"):
        own_variances(np.zeros((2, 5)), [np.array([[True] * 5, [False] * 5])])
