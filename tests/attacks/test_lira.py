from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, norm

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.lira import LiRA, lira_offline, lira_online
from lightning_mia.attacks.scalar_signals.base import PretextScore
from lightning_mia.attacks.shadow_models.own_variances import own_variances
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix, signal_matrix


def matrices(n_shadows: int, n: int = 30, d: int = 1, paired: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw target (n, d), shadows (K, n, d) and members (K, n), with IN and OUT models for every unit."""
    rng = np.random.default_rng(n_shadows + 100 * d)
    half = rng.random((-(-n_shadows // 2), n)) < 0.5
    members = np.stack([half, ~half], axis=1).reshape(-1, n)[:n_shadows]
    if not paired:
        members = rng.random((n_shadows, n)) < 0.4
        members[:3], members[3:6] = True, False
    mixing = rng.standard_normal((d, d)) + 2 * np.eye(d)
    shadows = (rng.standard_normal((n_shadows, n, d)) * (1 + members[..., None])) @ mixing + members[..., None]
    return rng.standard_normal((n, d)), shadows, members


def centres(shadows: np.ndarray, chosen: np.ndarray) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Compute the mean and the residuals of every unit over the chosen shadow models."""
    means, residuals = [], []
    for unit in range(shadows.shape[1]):
        own = [shadows[k, unit] for k in range(len(shadows)) if chosen[k, unit]]
        means.append(sum(own) / len(own))
        residuals.append([value - means[-1] for value in own])
    return means, residuals


def fixed_covariance(residuals: list[list[np.ndarray]]) -> np.ndarray:
    """Compute the covariance over all units, shrunk as by d more uncorrelated residuals."""
    freedom = sum(len(own) - 1 for own in residuals)
    covariance = sum(np.outer(residual, residual) for own in residuals for residual in own) / freedom
    d = len(covariance)
    for i in range(d):
        for j in range(d):
            covariance[i, j] *= 1 if i == j else freedom / (freedom + d)
    return covariance


def slow_online(target: np.ndarray, shadows: np.ndarray, members: np.ndarray) -> list[float]:
    ratios = np.zeros(len(target))
    variances = dict(zip((1, -1), own_variances(shadows[..., 0], [members, ~members]), strict=True))
    for chosen, sign in ((members, 1), (~members, -1)):
        means, residuals = centres(shadows, chosen)
        covariance = fixed_covariance(residuals)
        for unit in range(len(target)):
            own = variances[sign][unit] if target.shape[1] == 1 else covariance
            ratios[unit] += sign * multivariate_normal(means[unit], own).logpdf(target[unit])
    return list(ratios)


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize(("n_shadows", "paired"), [(4, True), (7, False), (16, True), (64, True), (70, False)])
def test_online_scores_equal_the_formula_in_loops(n_shadows: int, paired: bool, d: int) -> None:
    target, shadows, members = matrices(n_shadows, d=d, paired=paired)
    expected = slow_online(target, shadows, members)
    assert np.allclose(lira_online(target, shadows, members), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("n_shadows", "paired"), [(4, True), (7, False), (16, True), (64, True)])
def test_offline_scores_equal_the_formula_in_loops(n_shadows: int, paired: bool) -> None:
    target, shadows, members = matrices(n_shadows, paired=paired)
    means, residuals = centres(shadows, ~members)
    scores = lira_offline(target[:, 0], shadows[..., 0], members)
    for unit, score in enumerate(scores):
        deviation = np.sqrt(own_variances(shadows[..., 0], [~members])[0][unit])
        if n_shadows == 4:  # too few for variances of single units
            assert deviation == pytest.approx(np.sqrt(fixed_covariance(residuals)[0, 0]))
        published = norm.cdf((target[unit, 0] - means[unit][0]) / deviation)
        assert norm.cdf(score) == pytest.approx(published, abs=1e-6)


def with_pooled_variance(matrix: SignalMatrix) -> np.ndarray:
    ratios = np.zeros(len(matrix.target))
    for chosen, sign in ((matrix.members, 1), (~matrix.members, -1)):
        means, residuals = centres(matrix.shadows, chosen)
        scale = float(np.sqrt(fixed_covariance(residuals)[0, 0]))
        ratios += sign * norm.logpdf(matrix.target[:, 0], np.array(means)[:, 0], scale)
    return ratios


@pytest.mark.slow
@pytest.mark.parametrize("n_shadows", [16, 64])
@pytest.mark.parametrize(
    ("noise", "gain"), [({"tails": 3.0}, 0.0), ({}, 0.0), ({"noise_spread": 0.5}, 0.01)], ids=["heavy", "equal", "own"]
)
def test_own_variances_are_never_worse_than_a_pooled_one(
    simulate: Callable, auroc: Callable, noise: dict[str, float], gain: float, n_shadows: int
) -> None:
    """In heavy tails, the sample variances of 64 shadow models alone would cost .03."""
    gains = []
    for seed in range(3):
        audit = simulate(1000, n_shadows, effect=0.5, n_auxiliary=0, seed=seed, **noise)
        pooled = pd.Series(with_pooled_variance(signal_matrix(audit.evidence, PretextScore())), audit.members.index)
        gains.append(auroc(LiRA().score(audit.evidence), audit.members) - auroc(pooled, audit.members))
    assert np.mean(gains) > gain - 0.002


def test_offline_score_does_not_saturate() -> None:
    _, shadows, members = matrices(8, n=3)
    scores = lira_offline(np.array([100.0, 200.0, 300.0]), np.zeros_like(shadows[..., 0]) + shadows[:, :1, 0], members)
    assert norm.cdf(scores).tolist() == [1, 1, 1]
    assert scores[0] < scores[1] < scores[2]


def test_single_out_model_ranks_by_difference() -> None:
    target, shadows, members = matrices(2)
    out = np.where(members[0], shadows[1, :, 0], shadows[0, :, 0])
    assert np.array_equal(lira_offline(target[:, 0], shadows[..., 0], members), target[:, 0] - out)


def test_constant_signal_gives_finite_scores() -> None:
    members = matrices(4)[2]
    assert np.isfinite(lira_online(np.zeros((30, 1)), np.zeros((4, 30, 1)), members)).all()
    assert np.isfinite(lira_online(np.zeros((30, 2)), np.zeros((4, 30, 2)), members)).all()


def test_name_and_requirements_come_from_the_signal(planted_signal: Callable) -> None:
    assert [LiRA().name, LiRA(online=False).name] == ["lira", "lira_offline"]
    assert (LiRA().access, LiRA().needs_signal, LiRA().two_sided) == ("grey-box", "pretext_score", False)
    other = LiRA(planted_signal(["a"], two_sided=True), online=False)
    assert (other.name, other.access, other.needs_signal) == ("lira_offline_planted", "black-box", "")
    assert not other.two_sided  # the sign is learned on shadow models
    assert (LiRA().min_shadows, other.min_shadows) == (4, 2)
    assert LiRA.levels == ("utterance",)


@pytest.mark.parametrize("online", [True, False])
def test_planted_leak_is_found(simulate: Callable, auroc: Callable, online: bool) -> None:
    fleet = simulate(200, 16, effect=2.0)
    scores = LiRA(online=online).score(fleet.evidence)
    assert scores.dtype == np.float64 and set(scores.index) == set(fleet.members.index)
    assert auroc(scores, fleet.members) > 0.85


@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize("effect", [2.0, -2.0])
def test_offline_sign_is_learned_on_shadow_models(
    simulate: Callable, planted_signal: Callable, auroc: Callable, effect: float, pool: bool
) -> None:
    fleet = simulate(200, 8, effect=effect, pool=pool)
    signal = planted_signal(["pretext_score_mask0"], two_sided=True)
    assert auroc(LiRA(signal, online=False).score(fleet.evidence), fleet.members) > 0.85
    fixed_sign = LiRA(PretextScore(), online=False).score(fleet.evidence)
    assert (auroc(fixed_sign, fleet.members) > 0.5) == (effect > 0)


@pytest.mark.parametrize("online", [True, False])
def test_multivariate_signal_separates_better_than_its_dimensions(
    simulate: Callable, planted_signal: Callable, auroc: Callable, online: bool
) -> None:
    columns = ["planted_a", "planted_b", "planted_c"]
    fleet = simulate(400, 16, columns=columns, effect=[1.2, -1.2, 0.0])
    jointly = auroc(LiRA(planted_signal(columns), online).score(fleet.evidence), fleet.members)
    single = [LiRA(planted_signal([column], True), online).score(fleet.evidence) for column in columns]
    assert jointly > max(auroc(scores, fleet.members) for scores in single) + 0.03


def test_units_without_in_or_out_models_are_named(simulate: Callable) -> None:
    evidence = simulate(20, 4).evidence
    members = evidence.shadows.members.copy()
    members.loc["s003/0"], members.loc["s005/0"] = True, False
    evidence = replace(evidence, shadows=replace(evidence.shadows, members=members))
    with pytest.raises(CannotRun, match="a shadow model that is OUT, and 1 of 20 units have none: s003/0"):
        LiRA().score(evidence)
    with pytest.raises(CannotRun, match="s003/0"):
        LiRA(online=False).score(evidence)
    members.loc["s003/0"] = [True, False, True, False]
    evidence = replace(evidence, shadows=replace(evidence.shadows, members=members))
    with pytest.raises(CannotRun, match="that is IN, and 1 of 20 units have none: s005/0"):
        LiRA().score(evidence)
    assert LiRA(online=False).score(evidence).notna().all()


def test_online_attack_requires_in_models(simulate: Callable) -> None:
    fleet = simulate(20, 4, pool=True)
    with pytest.raises(CannotRun, match="it needs shadow models that are IN for the challenge units"):
        LiRA().score(fleet.evidence)
    assert LiRA(online=False).score(fleet.evidence).notna().all()
