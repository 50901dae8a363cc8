import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.user_statistics import UserStatistics, user_statistics
from lightning_mia.signals.view_consistency import ViewAgreement

Auroc = Callable[[pd.Series, pd.Series], float]
Fleet = Callable[..., Any]
VIEWS = [f"views_pair{number:02d}" for number in range(10)]


def attack(**other: Any) -> UserStatistics:
    return UserStatistics("black-box", [ViewAgreement()], n_trees=200, **other)


def test_statistics_equal_those_of_the_standard_library() -> None:
    rng = np.random.default_rng(0)
    users = np.array(["b", "a", "b", "c", "a", "b", "c"])
    features = pd.DataFrame(rng.standard_normal((7, 2)), index=list("pqrstuv"), columns=["x", "y"])
    results = user_statistics(features, users)
    assert list(results.index) == list("pqrstuv") and results.shape == (7, 14)
    by_hand = {
        "sum": sum,
        "max": max,
        "min": min,
        "mean": statistics.fmean,
        "median": statistics.median,
        "std": statistics.pstdev,
        "var": statistics.pvariance,
    }
    for row, user in enumerate(users):
        for column in ("x", "y"):
            own = features[column][users == user].tolist()
            for name, calculate in by_hand.items():
                assert results[f"{name}_{column}"].iloc[row] == pytest.approx(calculate(own))


@pytest.mark.parametrize("calibrated", [False, True])
def test_attack_finds_one_informative_signal_of_ten(calibrated: bool, simulate: Fleet, auroc: Auroc) -> None:
    effect = [0.0] * 6 + [2.0] + [0.0] * 3
    planted = simulate(60, 6, columns=VIEWS, effect=effect, spread=0.8, level="speaker", clips=5, seed=0)
    assert auroc(attack(calibrated=calibrated).score(planted.evidence), planted.members) > 0.9


@pytest.mark.slow
def test_auroc_on_noise_is_chance(simulate: Fleet, auroc: Auroc) -> None:
    """Standard error .03."""
    results = []
    for seed in range(6):
        planted = simulate(50, 4, columns=VIEWS[:4], effect=0.0, level="speaker", clips=3, seed=seed)
        results.append(auroc(attack().score(planted.evidence), planted.members))
    assert abs(np.mean(results) - 0.5) < 0.09


def test_names_and_requirements(simulate: Fleet) -> None:
    assert UserStatistics().name == "user_statistics"
    assert attack(calibrated=True, suffix="views").name == "user_statistics_black_box_views_calibrated"
    assert attack().levels == ("speaker",)
    evidence = simulate(20, 4, columns=VIEWS[:2], level="speaker", clips=3).evidence
    with pytest.raises(CannotRun, match="needs signals that require grey-box access"):
        UserStatistics().score(evidence)
