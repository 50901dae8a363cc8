from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import kurtosis

from lightning_mia.attacks.runner.simulation import SimulatedAudit


def differences(audit: SimulatedAudit) -> np.ndarray:
    """Signals under the target minus those under the first shadow model, of units with the same membership."""
    inside = audit.evidence.shadows.members["shadow_000"]
    same = inside.index[inside == audit.members.loc[inside.index]]
    target, shadow = (
        signals.scalars.loc[same].iloc[:, 0] for signals in (audit.evidence.target, audit.evidence.shadows.signals[0])
    )
    return (target - shadow).to_numpy()


@pytest.mark.slow
@pytest.mark.parametrize(("slope", "spread"), [(1.0, 2.0), (0.5, 1.0), (0.0, 1.0)])
def test_auroc_of_the_ideal_score_is_that_of_neyman_and_pearson(
    simulate: Callable, auroc: Callable, slope: float, spread: float
) -> None:
    """Given the difficulty c, the log-ratio is normal: means ± δ² / 2, variance δ², with δ = effect + (slope − 1) c."""
    audit = simulate(20_000, 0, effect=1.0, slope=slope, spread=spread, n_auxiliary=0)
    rng = np.random.default_rng(0)
    shifts = np.abs(1.0 + (slope - 1) * spread * rng.standard_normal((2, 400_000)))
    inside, outside = (
        sign * delta**2 / 2 + delta * rng.standard_normal(delta.shape)
        for sign, delta in zip((1, -1), shifts, strict=True)
    )
    expected = ndtr(1 / np.sqrt(2)) if slope == 1 else (inside > outside).mean()
    assert auroc(audit.ideal, audit.members) == pytest.approx(expected, abs=0.01)


@pytest.mark.slow
def test_heavy_tails_keep_the_standard_deviation(simulate: Callable) -> None:
    normal, heavy = (differences(simulate(40_000, 2, noise=1.5, tails=tails, n_auxiliary=0)) for tails in (None, 5.0))
    assert normal.std() == pytest.approx(1.5 * np.sqrt(2), rel=0.02)
    assert heavy.std() == pytest.approx(1.5 * np.sqrt(2), rel=0.05)
    assert abs(kurtosis(normal)) < 0.2 and kurtosis(heavy) > 1


@pytest.mark.slow
def test_noise_differs_between_units(simulate: Callable) -> None:
    equal, unequal = (differences(simulate(40_000, 2, noise_spread=spread, n_auxiliary=0)) for spread in (0.0, 0.5))
    assert np.log(np.abs(unequal)).var() - np.log(np.abs(equal)).var() == pytest.approx(0.25, abs=0.04)
