from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import digamma, polygamma
from scipy.stats import multivariate_t
from scipy.stats import t as student

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.bavaria import BaVarIA, Prior, bavaria, fit_prior
from lightning_mia.attacks.scalar_signals.base import PretextScore
from lightning_mia.attacks.shadow_models.centres import Centres
from lightning_mia.attacks.shadow_models.in_out import moments, variance_prior, variance_ratio
from lightning_mia.attacks.shadow_models.signal_matrix import signal_matrix

UNKNOWN = float("inf")  # spread of the centres: nothing is known about them in advance
FLAT = 1e7  # the same as a variance over σ²


def make_prior(
    shift: float,
    in_spread: float,
    shape: float,
    scale: float,
    ratio: float,
    slope: float = 1.0,
    spread: float = UNKNOWN,
) -> Prior:
    centres = Centres(0.2, 0.2 + shift, spread, slope, scale / shape, in_spread * scale / shape, ratio)
    return Prior(centres, in_spread, shape, scale)


PRIOR = make_prior(shift=0.7, in_spread=0.4, shape=2.5, scale=1.5, ratio=0.6)
PRIORS = {
    "any": PRIOR,
    "fixed": make_prior(-0.5, 0.0, 1.2, 0.3, 1.0),
    "normal": make_prior(1.0, 3.0, 1e4, 1e4, 1.5),
    "slope 0": make_prior(1.0, 0.5, 2.5, 1.5, 0.6, slope=0.0),
    "slope 0.5": make_prior(1.0, 0.0, 2.5, 1.5, 1.2, slope=0.5),
}


def matrices(n_shadows: int, n: int, prior: Prior = PRIOR, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw target (n,), shadows (K, n) and members (K, n) from the model of the attack."""
    rng = np.random.default_rng(seed)
    centres = prior.centres
    half = rng.random((-(-n_shadows // 2), n)) < 0.5
    members = np.stack([half, ~half], axis=1).reshape(-1, n)[:n_shadows]
    variance = prior.scale / rng.gamma(prior.shape, size=n)
    difficulty = np.sqrt(min(centres.spread, 9.0)) * rng.standard_normal(n)
    inside = centres.in_mean + centres.slope * difficulty
    inside = inside + np.sqrt(prior.in_spread * variance) * rng.standard_normal(n)
    models = np.concatenate([members, rng.random((1, n)) < 0.5])
    noise = np.sqrt(variance * np.where(models, centres.ratio, 1)) * rng.standard_normal(models.shape)
    signals = np.where(models, inside, centres.out_mean + difficulty) + noise
    return signals[-1], signals[:-1], members


def deviations(values: np.ndarray, members: np.ndarray, prior: Prior) -> np.ndarray:
    return values - np.where(members, prior.centres.in_mean, prior.centres.out_mean)


def noise_and_slopes(members: np.ndarray, prior: Prior) -> tuple[np.ndarray, np.ndarray]:
    """Compute the covariance of a unit's signals about b c, in units of σ², and how each depends on c."""
    inside = members.astype(float)
    noise = np.diag(np.where(members, prior.centres.ratio, 1.0)) + prior.in_spread * np.outer(inside, inside)
    return noise, np.where(members, prior.centres.slope, 1.0)


def log_evidence(values: np.ndarray, members: np.ndarray, prior: Prior) -> float:
    """Compute the density of a unit's signals with c, d and σ² integrated out: a multivariate t.

    Given σ² they are normal, with covariance σ² times: the noise, plus c (common to all), plus the rest of d (common to
    members). A flat prior of c is the limit of N(0, σ² FLAT) / (1 / σ), and dividing by 1 / σ lowers the shape by one
    half.
    """
    noise, slopes = noise_and_slopes(members, prior)
    shape = prior.shape - 0.5
    covariance = prior.scale / shape * (noise + FLAT * np.outer(slopes, slopes))
    return multivariate_t(np.zeros(len(values)), covariance, df=2 * shape).logpdf(values)


def slow_ratio(target: float, shadows: np.ndarray, members: np.ndarray, prior: Prior) -> float:
    """Compute the ratio of evidences with the target as IN and as OUT model."""
    ratio = 0.0
    difficulty = shadows[~members].mean() - prior.centres.out_mean  # taking it away changes nothing, and spares digits
    for label, sign in ((True, 1), (False, -1)):
        labels = np.append(members, label)
        values = deviations(np.append(shadows, target), labels, prior)
        values = values - difficulty * noise_and_slopes(labels, prior)[1]
        ratio += sign * log_evidence(values, labels, prior)
    return ratio


def slow_centres(
    shadows: np.ndarray, members: np.ndarray, prior: Prior, spread: float = FLAT
) -> tuple[np.ndarray, np.ndarray]:
    """Condition a normal target on the unit's signals.

    Args:
        shadows: (K,) signals.
        members: (K,) bool.
        prior: of the centres.
        spread: variance of c over σ².

    Returns:
        (2,) centres and (2,) variances over σ² of an IN and an OUT target.
    """
    centres, variances = [], []
    for label in (True, False):
        noise, slopes = noise_and_slopes(np.append(members, label), prior)
        covariance = noise + spread * np.outer(slopes, slopes)
        gain = np.linalg.inv(covariance[:-1, :-1]) @ covariance[:-1, -1]
        mean = prior.centres.in_mean if label else prior.centres.out_mean
        centres.append(mean + gain @ deviations(shadows, members, prior))
        variances.append(covariance[-1, -1] - gain @ covariance[:-1, -1])
    return np.array(centres), np.array(variances)


def slow_extreme(ratio: Callable[[float], float], target: float, centres: np.ndarray) -> float:
    """Search the most extreme ratio between the centres and the target, in the direction of the target."""
    inside, outside = centres
    sign = 1 if (inside > outside) == (target > centres.mean()) else -1
    found = minimize_scalar(
        lambda x: -sign * ratio(x), bounds=sorted((centres.mean(), target)), method="bounded", options={"xatol": 1e-6}
    )
    return sign * max(sign * ratio(target), -found.fun)


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("n_shadows", [2, 3, 8, 16])
def test_scores_equal_ratios_of_evidences(n_shadows: int, online: bool, prior: Prior) -> None:
    target, shadows, members = matrices(n_shadows, 30, prior)
    has_out = ~members.all(0)
    target, shadows, members = target[has_out], shadows[:, has_out], members[:, has_out]
    scores = bavaria(target, shadows, members, online, prior)
    for unit, score in enumerate(scores):
        read = np.ones(n_shadows, dtype=bool) if online else ~members[:, unit]
        known = shadows[read, unit], members[read, unit], prior
        expected = slow_extreme(lambda x, known=known: slow_ratio(x, *known), target[unit], slow_centres(*known)[0])
        assert score == pytest.approx(expected, rel=1e-6, abs=1e-6)  # the flat prior of c is approached as 1 / FLAT


def test_flatter_prior_approaches_the_exact_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    _, shadows, members = matrices(8, 30)
    middle = np.array([slow_centres(shadows[:, unit], members[:, unit], PRIOR)[0].mean() for unit in range(30)])
    differences = []
    for flat in (1e2, 1e4, 1e6):  # beyond, the slow way runs out of digits
        monkeypatch.setitem(globals(), "FLAT", flat)
        expected = [slow_ratio(middle[unit], shadows[:, unit], members[:, unit], PRIOR) for unit in range(30)]
        differences.append(float(np.abs(bavaria(middle, shadows, members, prior=PRIOR) - expected).max()))
    assert differences[0] > 30 * differences[1] > 900 * differences[2]
    assert differences[2] < 1e-6


def slow_student(target: float, shadows: np.ndarray, members: np.ndarray, prior: Prior) -> float:
    """Condition a normal target on the unit's signals, with σ² estimated first, whatever c is."""
    values = deviations(shadows, members, prior)
    noise, slopes = noise_and_slopes(members, prior)
    weights = np.linalg.inv(noise) @ slopes
    residuals = values - slopes * (weights @ values) / (weights @ slopes)
    shape = prior.shape + (len(values) - 1) / 2
    variance = (prior.scale + residuals @ np.linalg.inv(noise) @ residuals / 2) / shape
    centres, variances = slow_centres(shadows, members, prior, prior.centres.spread / variance)
    scales = np.sqrt(variance * variances)

    def ratio(x: float) -> float:
        densities = student.logpdf(x - centres, 2 * shape, scale=scales)
        return float(densities[0] - densities[1])

    return slow_extreme(ratio, target, centres)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 0.3, 9.0])
@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 1.3])
@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("n_shadows", [2, 3, 16])
def test_scores_equal_conditional_densities(n_shadows: int, online: bool, slope: float, spread: float) -> None:
    prior = make_prior(0.7, 0.4, 2.5, 1.5, 0.6, slope, spread)
    target, shadows, members = matrices(n_shadows, 30, prior)
    has_out = ~members.all(0)
    target, shadows, members = target[has_out], shadows[:, has_out], members[:, has_out]
    scores = bavaria(target, shadows, members, online, prior)
    for unit, score in enumerate(scores):
        read = np.ones(n_shadows, dtype=bool) if online else ~members[:, unit]
        expected = slow_student(target[unit], shadows[read, unit], members[read, unit], prior)
        assert score == pytest.approx(expected, rel=1e-8, abs=1e-8)


def test_scores_rise_with_the_signal() -> None:
    _, shadows, members = matrices(8, 30, seed=1)
    scores = [bavaria(np.full(30, signal), shadows, members, prior=PRIOR) for signal in np.linspace(-50, 50, 400)]
    steps = np.diff(scores, axis=0)
    centres = [slow_centres(shadows[:, unit], members[:, unit], PRIOR)[0] for unit in range(30)]
    rising = np.array([inside > outside for inside, outside in centres])
    assert 5 < rising.sum() < 30
    assert (steps[:, rising] > -1e-12).all() and (steps[:, ~rising] < 1e-12).all()
    assert (np.ptp(scores, axis=0) > 0.5).all()


def test_a_target_that_leaks_more_than_its_shadow_models(auroc: Callable) -> None:
    """Members stand out more than IN shadow models, which vary little; a ratio that is not held has an AUROC of 0."""
    rng = np.random.default_rng(4)
    half = rng.random((4, 500)) < 0.5
    inside = np.stack([half, ~half], axis=1).reshape(8, 500)
    members = rng.random(500) < 0.5
    noise = np.where(np.vstack([inside, members]), 0.6, 1.0) * rng.standard_normal((9, 500))
    signals = 2 * rng.standard_normal(500) + np.vstack([2 * inside, 10 * members]) + noise
    scores = pd.Series(bavaria(signals[-1], signals[:-1], inside))
    assert auroc(scores, pd.Series(members)) > 0.99


def with_independent_shift(shadows: np.ndarray, members: np.ndarray) -> Prior:
    """Fit a prior in which the shift of a unit has nothing to do with its difficulty, about which nothing is known."""
    inside, outside = (moments(shadows[..., None], chosen) for chosen in (members, ~members))
    ratio = variance_ratio(inside, outside)
    differences = (inside.mean - outside.mean)[:, 0]
    variance_of_difference = differences.var(ddof=1)
    weight = float((ratio / inside.count + 1 / outside.count).mean())
    squares, freedom = (inside.squares / ratio + outside.squares)[:, 0], inside.count + outside.count - 2
    if freedom.any():
        shape, scale = variance_prior(squares, freedom)
        in_spread = max(0.0, variance_of_difference / (squares.sum() / freedom.sum()) - weight)
    else:
        shape, scale, in_spread = 1e4, 1e4 * variance_of_difference / weight, 0.0
    centres = Centres(0.0, differences.mean(), UNKNOWN, 1.0, scale / shape, 0.0, ratio)
    return Prior(centres, in_spread, shape, scale)


CASES: dict[str, dict[str, Any]] = {
    **{f"slope {slope}": {"slope": slope, "effect": 1.0} for slope in (0.0, 0.5, 1.0)},
    **{f"slope {slope}, similar units": {"slope": slope, "effect": 1.0, "spread": 0.5} for slope in (0.0, 0.5, 1.0)},
    "own variances": {"effect": 1.0, "noise_spread": 0.5},
    "own variances, slope 0.5": {"effect": 1.0, "noise_spread": 0.5, "slope": 0.5},
    "heavy tails": {"effect": 1.0, "tails": 3.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("n_shadows", [2, 4, 16])
def test_prior_of_both_centres_is_never_worse(
    simulate: Callable, auroc: Callable, n_shadows: int, case: dict[str, Any]
) -> None:
    """Compared with a shift independent of the difficulty: never by more than .003, and better where slopes differ."""
    gains: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(3):
        audit = simulate(2000, n_shadows, n_auxiliary=0, seed=seed, **case)
        matrix = signal_matrix(audit.evidence, PretextScore())
        target, shadows = matrix.target[:, 0], matrix.shadows[..., 0]
        priors = fit_prior(shadows, matrix.members), with_independent_shift(shadows, matrix.members)
        for online, values in gains.items():
            aurocs = [
                auroc(pd.Series(bavaria(target, shadows, matrix.members, online, prior), matrix.units), audit.members)
                for prior in priors
            ]
            values.append(aurocs[0] - aurocs[1])
    gain, offline_gain = np.mean(gains[True]), np.mean(gains[False])
    assert min(gain, offline_gain) > -0.003
    if case.get("slope", 1) < 1:
        assert gain > 0.002 and offline_gain > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("spread", [0.5, 2.0, 5.0])
def test_neyman_pearson_auroc_is_reached_with_16_shadow_models(
    simulate: Callable, auroc: Callable, slope: float, spread: float
) -> None:
    gaps = []
    for seed in range(4):
        audit = simulate(2000, 16, effect=3.0, slope=slope, spread=spread, n_auxiliary=0, seed=seed)
        gaps.append(auroc(audit.ideal, audit.members) - auroc(BaVarIA().score(audit.evidence), audit.members))
    assert -0.001 < np.mean(gaps) < 0.005


def test_variance_prior_equals_moments_in_loops() -> None:
    _, shadows, members = matrices(6, 80)
    logs = []
    prior_fit = fit_prior(shadows, members)
    for unit in range(80):
        squares = 0.0
        for label, ratio in ((True, prior_fit.centres.ratio), (False, 1.0)):
            group = shadows[members[:, unit] == label, unit]
            squares += float(((group - group.mean()) ** 2).sum()) / ratio
        logs.append(np.log(squares / 4) - digamma(2) + np.log(2))
    assert polygamma(1, prior_fit.shape) == pytest.approx(np.var(logs, ddof=1) - polygamma(1, 2))
    expected_log = np.log(prior_fit.scale / prior_fit.shape) - digamma(prior_fit.shape) + np.log(prior_fit.shape)
    assert expected_log == pytest.approx(np.mean(logs))
    assert prior_fit.in_spread == prior_fit.centres.in_spread / prior_fit.centres.noise


def test_prior_is_recovered_from_many_units() -> None:
    prior = make_prior(0.7, 0.4, 2.5, 1.5, 0.6, slope=0.5, spread=4.0)
    _, shadows, members = matrices(8, 200_000, prior)
    prior_fit = fit_prior(shadows, members)
    for name in ("in_spread", "shape", "scale"):
        assert getattr(prior_fit, name) == pytest.approx(getattr(prior, name), rel=0.1), name
    for name in ("out_mean", "in_mean", "spread", "slope", "ratio"):
        assert getattr(prior_fit.centres, name) == pytest.approx(getattr(prior.centres, name), rel=0.05), name


def test_equal_variances_have_a_sharp_prior() -> None:
    rng = np.random.default_rng(2)
    shape, scale = variance_prior(3.0 * rng.chisquare(4, size=200_000), np.full(200_000, 4))
    assert shape > 200
    assert scale / shape == pytest.approx(3.0, rel=0.01)


def test_single_pair_has_one_variance_for_all_units() -> None:
    _, shadows, members = matrices(2, 5000, make_prior(0.7, 0.0, 1e4, 2e4, 1.0, spread=9.0))
    prior_fit = fit_prior(shadows, members)
    assert (prior_fit.shape, prior_fit.centres.ratio) == (1e4, 1.0)
    assert prior_fit.scale / prior_fit.shape == pytest.approx(2.0, rel=0.1)
    assert prior_fit.centres.slope == pytest.approx(1.0, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("n_shadows", [2, 4, 16])
@pytest.mark.parametrize("level", ["utterance", "speaker"])
@pytest.mark.parametrize(("online", "pool"), [(True, False), (False, False), (False, True)])
def test_leak_of_either_sign_is_found(
    simulate: Callable, auroc: Callable, level: str, n_shadows: int, online: bool, pool: bool
) -> None:
    for effect in (2.0, -2.0):
        fleet = simulate(100, n_shadows, effect=effect, level=level, clips=2, pool=pool, seed=3)
        assert auroc(BaVarIA(online=online).score(fleet.evidence), fleet.members) > 0.8


def test_several_numbers_are_projected(simulate: Callable, planted_signal: Callable, auroc: Callable) -> None:
    columns = ["planted_a", "planted_b"]
    fleet = simulate(400, 8, columns=columns, effect=[1.2, -1.2])
    jointly = auroc(BaVarIA(planted_signal(columns)).score(fleet.evidence), fleet.members)
    alone = [auroc(BaVarIA(planted_signal([column])).score(fleet.evidence), fleet.members) for column in columns]
    assert jointly > max(alone) + 0.03


def test_constant_signal_gives_finite_scores(simulate: Callable) -> None:
    fleet = simulate(20, 8, effect=0.0, noise=0.0)
    assert np.isfinite(BaVarIA().score(fleet.evidence)).all()


def test_names_and_requirements(simulate: Callable) -> None:
    assert [BaVarIA().name, BaVarIA(online=False).name] == ["bavaria", "bavaria_offline"]
    assert BaVarIA().min_shadows == 2
    with pytest.raises(CannotRun, match="IN for the challenge units"):
        BaVarIA().score(simulate(20, 4, pool=True).evidence)
