import numpy as np
import pytest

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.shadow_models.centres import Centres, fit_centres, in_and_out_moments


def fleet(n_shadows: int, n: int, centres: Centres, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw shadows (K, n) in pairs and members (K, n) from the model."""
    rng = np.random.default_rng(seed)
    half = rng.random((n_shadows // 2, n)) < 0.5
    members = np.stack([half, ~half], axis=1).reshape(-1, n)
    outside = centres.out_mean + np.sqrt(centres.spread) * rng.standard_normal(n)
    inside = centres.in_mean + centres.slope * (outside - centres.out_mean)
    inside = inside + np.sqrt(centres.in_spread) * rng.standard_normal(n)
    scale = np.sqrt(centres.noise * np.where(members, centres.ratio, 1.0))
    return np.where(members, inside, outside) + scale * rng.standard_normal(members.shape), members


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def slow_fit(shadows: np.ndarray, members: np.ndarray, ratio: float) -> dict[str, float]:
    """Estimate all but the ratio in loops over units."""
    out_means, in_means, squares, freedom = [], [], 0.0, 0
    for unit in range(shadows.shape[1]):
        groups = {label: list(shadows[members[:, unit] == label, unit]) for label in (True, False)}
        out_means.append(mean(groups[False]))
        in_means.append(mean(groups[True]))
        for label, group in groups.items():
            squares += sum((x - mean(group)) ** 2 for x in group) / (ratio if label else 1)
            freedom += len(group) - 1
    y, z = [x - mean(out_means) for x in out_means], [x - mean(in_means) for x in in_means]
    n, noise = len(y), squares / freedom
    counts = members.sum(0)
    spread = sum(a * a for a in y) / (n - 1) - noise * mean([1 / (len(members) - k) for k in counts])
    slope = sum(a * b for a, b in zip(y, z, strict=True)) / (n - 1) / spread
    sampling = mean([a * a * (b - slope * a) ** 2 for a, b in zip(y, z, strict=True)]) / spread**2 / n
    slope = 1 + (slope - 1) * max(0, 1 - sampling / (slope - 1) ** 2)
    around = sum((b - slope * a) ** 2 for a, b in zip(y, z, strict=True)) / (n - 1)
    expected = noise * mean([ratio / k + slope**2 / (len(members) - k) for k in counts])
    return {
        "out_mean": mean(out_means),
        "in_mean": mean(in_means),
        "spread": spread,
        "slope": slope,
        "noise": noise,
        "in_spread": max(around - expected, 0),
    }


@pytest.mark.parametrize("n_shadows", [4, 6, 10])
def test_fit_equals_moments_in_loops(n_shadows: int) -> None:
    shadows, members = fleet(n_shadows, 60, Centres(0.2, 1.0, 2.0, 0.4, 1.0, 0.5, 1.5))
    fit = fit_centres(*in_and_out_moments(shadows, members))
    assert slow_fit(shadows, members, fit.ratio) == pytest.approx({k: v for k, v in vars(fit).items() if k != "ratio"})


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 1.4])
@pytest.mark.parametrize("n_shadows", [4, 16])
def test_parameters_are_recovered_from_many_units(n_shadows: int, slope: float) -> None:
    centres = Centres(0.3, 1.0, 2.0, slope, 1.5, 0.8, 0.6)
    fit = fit_centres(*in_and_out_moments(*fleet(n_shadows, 100_000, centres)))
    assert vars(fit) == pytest.approx(vars(centres), rel=0.05, abs=0.03)


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_slope_and_noise_are_recovered_from_a_single_pair(slope: float) -> None:
    centres = Centres(0.3, 1.0, 4.0, slope, 1.0, 0.0, 1.0)
    fit = fit_centres(*in_and_out_moments(*fleet(2, 100_000, centres)))
    assert fit.slope == pytest.approx(slope, abs=0.08)
    assert fit.noise == pytest.approx(1.0, abs=0.1)  # the largest differences are limited
    assert fit.spread == pytest.approx(4.0, rel=0.05)


def test_units_with_a_large_shift_do_not_turn_the_line_of_a_single_pair() -> None:
    shadows, members = fleet(2, 20_000, Centres(0.0, 0.3, 4.0, 1.0, 1.0, 0.0, 1.0))
    shadows = shadows + 8 * members * (np.random.default_rng(1).random(20_000) < 0.1)
    assert fit_centres(*in_and_out_moments(shadows, members)).slope == pytest.approx(1.0, abs=0.15)


def test_slope_is_1_where_the_data_say_nothing() -> None:
    slopes = []
    for seed in range(40):
        shadows, members = fleet(8, 300, Centres(0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0), seed)
        slopes.append(fit_centres(*in_and_out_moments(shadows, members)).slope)
    assert np.mean(np.array(slopes) == 1) > 0.5
    constant = fit_centres(*in_and_out_moments(np.zeros(members.shape), members))
    assert (constant.slope, constant.spread) == (1.0, 0.0)


def test_expected_centres_are_conditional_means() -> None:
    centres = Centres(0.5, 1.5, 2.0, 0.4, 1.0, 0.7, 1.3)
    rng = np.random.default_rng(0)
    outside = 0.5 + np.sqrt(2) * rng.standard_normal(400_000)
    inside = 1.5 + 0.4 * (outside - 0.5) + np.sqrt(0.7) * rng.standard_normal(400_000)
    observed = outside + rng.standard_normal((4, 400_000)).mean(0)
    near = np.abs(observed - 2.0) < 0.05
    out_centre, in_centre = centres.expected(np.array([2.0]), np.array([4]))
    assert outside[near].mean() == pytest.approx(out_centre.item(), abs=0.03)
    assert inside[near].mean() == pytest.approx(in_centre.item(), abs=0.03)


def test_units_that_are_always_in_or_always_out_teach_nothing() -> None:
    shadows, members = fleet(4, 30, Centres(0.0, 1.0, 1.0, 0.5, 1.0, 0.0, 1.0))
    members[:, :3], members[:, 3:6] = True, False
    shadows[:, :6] += 100
    fit = fit_centres(*in_and_out_moments(shadows, members))
    assert fit == fit_centres(*in_and_out_moments(shadows[:, 6:], members[:, 6:]))
    with pytest.raises(CannotRun, match="IN for one shadow model and OUT for another"):
        in_and_out_moments(shadows[:, :6], members[:, :6])
