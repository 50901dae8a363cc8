from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from lightning_mia.attacks.base import CannotRun, Evidence
from lightning_mia.attacks.classifiers.quantiles import (
    ConditionalQuantiles,
    fit_quantile,
    pinball_loss,
    principal_components,
    with_constant,
)
from lightning_mia.attacks.quantile_regression import QuantileRegression
from lightning_mia.signals.table import Signals

Auroc = Callable[[pd.Series, pd.Series], float]


def recordings(n_auxiliary: int, seed: int, effect: float = 1.0, clips: int = 1) -> tuple[Evidence, pd.Series]:
    """Draw pretext scores that follow a direction of the pooled vector, plus a smaller `effect` of membership."""
    rng = np.random.default_rng(seed)
    names = [f"s{unit:03d}/{clip}" for unit in range(200) for clip in range(clips)]
    others = [f"a{number:03d}/0" for number in range(n_auxiliary)]
    challenge = pd.DataFrame({"id": names})
    challenge["speaker"] = challenge["unit_id"] = challenge["id"].str.split("/").str[0]
    members = pd.Series(rng.permutation(np.arange(200) % 2 == 1), index=challenge["unit_id"].unique())
    auxiliary = pd.DataFrame({"id": others, "speaker": [name.split("/")[0] for name in others]})
    pooled = rng.standard_normal((len(names) + n_auxiliary, 2, 12)).astype(np.float32)
    pooled[:, 1, 3] *= 4
    inside = np.append(challenge["unit_id"].map(members).to_numpy(dtype=float), np.zeros(n_auxiliary))
    values = pooled[:, 1, 3] + effect * inside + 0.5 * rng.standard_normal(len(pooled))
    scalars = pd.DataFrame({"pretext_score_mask0": values, "other": -values}, index=[*names, *others])
    return Evidence(Signals(scalars, pooled), challenge, auxiliary), members


def test_difficulty_is_removed(auroc: Auroc) -> None:
    evidence, members = recordings(150, seed=0)
    plain = evidence.target.pretext_score().loc[evidence.challenge["id"]].set_axis(evidence.challenge["unit_id"])
    assert auroc(plain, members) < 0.65
    assert auroc(QuantileRegression().score(evidence), members) > 0.85  # the ideal is .92
    assert auroc(QuantileRegression(layer=0).score(evidence), members) < 0.65  # carries no difficulty


@pytest.mark.slow
def test_auroc_without_effect_is_chance(auroc: Auroc) -> None:
    audits = [recordings(80, seed, effect=0.0) for seed in range(8)]
    aurocs = [auroc(QuantileRegression().score(evidence), members) for evidence, members in audits]
    assert abs(np.mean(aurocs) - 0.5) < 0.045


def test_speaker_score_is_the_mean_over_recordings(auroc: Auroc) -> None:
    evidence, members = recordings(100, seed=1, effect=0.5, clips=3)
    scores = QuantileRegression().score(evidence)
    by_recording = QuantileRegression().score(
        replace(evidence, challenge=evidence.challenge.assign(unit_id=evidence.challenge["id"]))
    )
    assert scores["s007"] == pytest.approx(by_recording[["s007/0", "s007/1", "s007/2"]].mean())
    assert auroc(scores, members) > 0.8


def test_several_numbers_have_equal_weight(planted_signal: Any) -> None:
    evidence, _ = recordings(100, seed=2)
    both = QuantileRegression(planted_signal(["pretext_score_mask0", "other"])).score(evidence)
    assert np.abs(both).max() < 1e-6  # each is the negative of the other
    named = QuantileRegression(planted_signal(["other"], two_sided=True))
    assert (named.name, named.access, named.two_sided) == ("quantile_regression_planted", "black-box", True)
    assert QuantileRegression().name == "quantile_regression"


def test_too_few_auxiliary_recordings_raise() -> None:
    evidence, _ = recordings(49, seed=0)
    with pytest.raises(CannotRun, match="needs 50 or more auxiliary recordings, and there are 49"):
        QuantileRegression().score(evidence)
    with_challenge = pd.concat([evidence.auxiliary, evidence.challenge[["id", "speaker"]]])
    with pytest.raises(CannotRun, match="there are 49"):
        QuantileRegression().score(replace(evidence, auxiliary=with_challenge))


def test_fit_minimises_the_pinball_loss() -> None:
    rng = np.random.default_rng(0)
    components = rng.standard_normal((120, 2))
    values = components @ [1.0, -0.5] + rng.exponential(size=120) * (1 + (components[:, 0] > 0))
    for level in (0.25, 0.5, 0.9):
        fitted = fit_quantile(components, values, level)

        def loss(coefficients: np.ndarray, level: float = level) -> float:
            return pinball_loss(values - with_constant(components) @ coefficients, level)

        by_search = minimize(loss, fitted + 0.1, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-7})
        assert loss(fitted) <= by_search.fun + 1e-6
        assert np.mean(values < with_constant(components) @ fitted) == pytest.approx(level, abs=0.03)


def test_quantiles_without_components_are_those_of_the_sample() -> None:
    values = np.random.default_rng(1).exponential(size=60)
    constant = ConditionalQuantiles.fit(np.zeros((60, 0)), values)
    low, median, high = np.percentile(values, [25, 50, 75])
    exceedances = constant.exceedance(np.zeros((2, 0)), np.array([median, 5.0]))
    np.testing.assert_allclose(exceedances, [0, (5 - median) / (high - low)])


def test_uninformative_components_are_not_used() -> None:
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((200, 20))
    assert ConditionalQuantiles.fit(noise, rng.standard_normal(200)).coefficients.shape[1] <= 3
    assert ConditionalQuantiles.fit(noise, noise[:, 0]).coefficients.shape[1] >= 2
    assert (ConditionalQuantiles.fit(noise, np.ones(200)).exceedance(noise, np.ones(200)) == 0).all()


def test_principal_components_are_scaled_by_the_fitted_vectors() -> None:
    rng = np.random.default_rng(3)
    fitted = rng.standard_normal((80, 6)) * [5, 3, 1, 1, 0.5, 0] + 7
    components, same = principal_components(fitted, fitted)
    assert components.shape == (80, 5)
    np.testing.assert_allclose(components.T @ components / 80, np.eye(5), atol=1e-9)
    np.testing.assert_allclose(same, components)
    assert abs(np.corrcoef(components[:, 0], fitted[:, 0])[0, 1]) > 0.95
