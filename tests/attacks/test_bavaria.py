from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import digamma, polygamma
from scipy.stats import multivariate_t

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.bavaria import BaVarIA, Prior, bavaria, fit_prior
from lightning_mia.attacks.shadow_models.in_out import variance_prior

PRIOR = Prior(shift=0.7, shift_spread=0.4, shape=2.5, scale=1.5, ratio=0.6)
FLAT = 1e7  # variance of the difficulty over σ²


def matrices(n_shadows: int, n: int, prior: Prior = PRIOR, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw target (n,), shadows (K, n) and members (K, n) from the model of the attack."""
    rng = np.random.default_rng(seed)
    half = rng.random((-(-n_shadows // 2), n)) < 0.5
    members = np.stack([half, ~half], axis=1).reshape(-1, n)[:n_shadows]
    variance = prior.scale / rng.gamma(prior.shape, size=n)
    shift = prior.shift + np.sqrt(prior.shift_spread * variance) * rng.standard_normal(n)
    models = np.concatenate([members, rng.random((1, n)) < 0.5])
    noise = np.sqrt(variance * np.where(models, prior.ratio, 1)) * rng.standard_normal(models.shape)
    signals = 3 * rng.standard_normal(n) + models * shift + noise
    return signals[-1], signals[:-1], members


def log_evidence(values: np.ndarray, members: np.ndarray, prior: Prior) -> float:
    """Compute the density of a unit's signals with c, δ and σ² integrated out: a multivariate t.

    Given σ² they are normal about m for members, with covariance σ² times: the noise, plus c (common to all), plus δ
    (common to members). A flat prior of c is the limit of N(0, σ² FLAT) / (1 / σ), and dividing by 1 / σ lowers the
    shape by one half.
    """
    inside = members.astype(float)
    covariance = np.diag(np.where(members, prior.ratio, 1.0)) + FLAT + prior.shift_spread * np.outer(inside, inside)
    shape = prior.shape - 0.5
    return multivariate_t(prior.shift * inside, prior.scale / shape * covariance, df=2 * shape).logpdf(values)


def slow_ratio(target: float, shadows: np.ndarray, members: np.ndarray, prior: Prior) -> float:
    """Compute the ratio of evidences with the target as IN and as OUT model."""
    values = np.append(shadows, target)
    inside, outside = (log_evidence(values, np.append(members, label), prior) for label in (True, False))
    return inside - outside


@pytest.mark.parametrize(
    "prior", [PRIOR, Prior(-0.5, 0.0, 1.2, 0.3, 1.0), Prior(1.0, 3.0, 1e4, 1e4, 1.5)], ids=["any", "fixed", "normal"]
)
@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("n_shadows", [2, 3, 8, 16])
def test_scores_equal_ratios_of_evidences(n_shadows: int, online: bool, prior: Prior) -> None:
    target, shadows, members = matrices(n_shadows, 30, prior)
    has_out = ~members.all(0)
    target, shadows, members = target[has_out], shadows[:, has_out], members[:, has_out]
    scores = bavaria(target, shadows, members, prior, online)
    for unit, score in enumerate(scores):
        read = np.ones(n_shadows, dtype=bool) if online else ~members[:, unit]
        centre = shadows[read, unit].mean()  # a shift of everything changes nothing, and spares digits
        expected = slow_ratio(target[unit] - centre, shadows[read, unit] - centre, members[read, unit], prior)
        assert score == pytest.approx(expected, rel=1e-6, abs=1e-6)  # the flat prior of c is approached as 1 / FLAT


def test_flatter_prior_approaches_the_exact_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    target, shadows, members = matrices(8, 30)
    differences = []
    for flat in (1e2, 1e4, 1e6):  # beyond, the slow way runs out of digits
        monkeypatch.setitem(globals(), "FLAT", flat)
        expected = [
            slow_ratio(target[unit] - centre, shadows[:, unit] - centre, members[:, unit], PRIOR)
            for unit, centre in enumerate(shadows.mean(0))
        ]
        differences.append(float(np.abs(bavaria(target, shadows, members, PRIOR) - expected).max()))
    assert differences[0] > 30 * differences[1] > 900 * differences[2]
    assert differences[2] < 1e-6


def test_prior_equals_moments_in_loops() -> None:
    _, shadows, members = matrices(6, 80)
    logs, differences, weights, sums, freedom = [], [], [], {True: 0.0, False: 0.0}, {True: 0, False: 0}
    by_unit = []
    for unit in range(80):
        groups = {label: shadows[members[:, unit] == label, unit] for label in (True, False)}
        squares = {label: float(((group - group.mean()) ** 2).sum()) for label, group in groups.items()}
        differences.append(groups[True].mean() - groups[False].mean())
        for label, group in groups.items():
            sums[label] += squares[label]
            freedom[label] += len(group) - 1
        by_unit.append((groups, squares))
    log_ratio = np.log(sums[True] / freedom[True] * freedom[False] / sums[False])
    noise = 2 / freedom[True] + 2 / freedom[False]
    ratio = np.exp(log_ratio * max(0, 1 - noise / log_ratio**2))
    for groups, squares in by_unit:
        own = len(groups[True]) + len(groups[False]) - 2
        variance = (squares[True] / ratio + squares[False]) / own
        logs.append(np.log(variance) - digamma(own / 2) + np.log(own / 2))
        weights.append(ratio / len(groups[True]) + 1 / len(groups[False]))
    pooled = (sums[True] / ratio + sums[False]) / (freedom[True] + freedom[False])
    prior_fit = fit_prior(shadows, members)
    assert prior_fit.ratio == pytest.approx(ratio)
    assert prior_fit.shift == pytest.approx(np.mean(differences))
    assert prior_fit.shift_spread == pytest.approx(max(0, np.var(differences, ddof=1) / pooled - np.mean(weights)))
    assert polygamma(1, prior_fit.shape) == pytest.approx(np.var(logs, ddof=1) - polygamma(1, 2))
    expected_log = np.log(prior_fit.scale / prior_fit.shape) - digamma(prior_fit.shape) + np.log(prior_fit.shape)
    assert expected_log == pytest.approx(np.mean(logs))


def test_prior_is_recovered_from_many_units() -> None:
    _, shadows, members = matrices(8, 100_000)
    prior_fit = fit_prior(shadows, members)
    for name, value in vars(PRIOR).items():
        assert getattr(prior_fit, name) == pytest.approx(value, rel=0.05), name


def test_equal_variances_have_a_sharp_prior() -> None:
    rng = np.random.default_rng(2)
    shape, scale = variance_prior(3.0 * rng.chisquare(4, size=200_000), np.full(200_000, 4))
    assert shape > 200
    assert scale / shape == pytest.approx(3.0, rel=0.01)


def test_single_pair_estimates_the_variance_from_differences() -> None:
    _, shadows, members = matrices(2, 5000, Prior(0.7, 0.0, 1e4, 2e4, 1.0))
    prior_fit = fit_prior(shadows, members)
    assert (prior_fit.shift_spread, prior_fit.ratio) == (0.0, 1.0)
    assert prior_fit.scale / prior_fit.shape == pytest.approx(2.0, rel=0.1)
    assert prior_fit.shift == pytest.approx(0.7, abs=0.1)


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
