"""Likelihood attacks on 100,000 units, against loops over units.

The loops follow the formulas; their time is extrapolated from a few units.
"""

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from lightning_mia.attacks.attack_r import AttackR
from lightning_mia.attacks.bavaria import BaVarIA, Prior, fit_prior
from lightning_mia.attacks.calibrated_loss import CalibratedLoss
from lightning_mia.attacks.lira import LiRA
from lightning_mia.attacks.midpoint import MidPoint
from lightning_mia.attacks.rmia import RMIA, fit_a
from lightning_mia.attacks.shadow_models.own_variances import own_variances
from lightning_mia.attacks.shadow_models.signal_attack import SignalAttack
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix
from tools.benchmark.devices import device_name
from tools.benchmark.rows import Row, faster

N_SHADOWS, N_AUXILIARY = 16, 200
A = 0.5  # of offline RMIA; its fit is timed separately
Slow = Callable[[int, float, list[float], list[float]], float]


def measure(quick: bool) -> Iterator[Row]:
    """Measure seconds of each attack and in total."""
    n_units, slow_units = (10_000, 20) if quick else (100_000, 500)
    matrix, device = simulate(n_units, N_SHADOWS, N_AUXILIARY), device_name("cpu")
    start = time.perf_counter()
    fit_a(matrix.learning_shadows[..., 0], matrix.learning_members, matrix.pairs)
    fit = time.perf_counter() - start
    vectorised = looped = 0.0
    for attack, slow in pairs(matrix):
        start = time.perf_counter()
        scores = attack.compare(matrix)
        seconds = time.perf_counter() - start
        start = time.perf_counter()
        expected = [_score_unit(matrix, unit, slow) for unit in range(slow_units)]
        loops = (time.perf_counter() - start) / slow_units * n_units
        vectorised, looped = vectorised + seconds, looped + loops
        difference = f"largest difference {np.abs(scores[:slow_units] - expected).max():.1e}"
        yield faster(attack.name, seconds, "loops", loops, device=device, note=difference)
    size = f"{n_units:,} utterances × {N_SHADOWS} shadow models, {N_AUXILIARY} auxiliary recordings"
    yield Row("fit of a for offline RMIA", fit, "s", device)
    yield Row("all likelihood attacks, including that fit", vectorised + fit, "s", device, note=size)
    yield faster("all likelihood attacks, without that fit", vectorised, "loops", looped, device=device, note=size)


def pairs(matrix: SignalMatrix) -> list[tuple[SignalAttack, Slow]]:
    """Pair every attack with its loop."""
    return [
        (LiRA(), slow_lira(matrix, True)),
        (LiRA(online=False), slow_lira(matrix, False)),
        (RMIA(), slow_rmia(matrix, True)),
        (RMIA(online=False, a=A), slow_rmia(matrix, False, A)),
        (BaVarIA(), slow_bavaria(matrix, True)),
        (BaVarIA(online=False), slow_bavaria(matrix, False)),
        (MidPoint(), lambda unit, x, inside, outside: x - (mean(inside) + mean(outside)) / 2),
        (AttackR(), lambda unit, x, inside, outside: mean([float(x >= signal) for signal in outside])),
        (CalibratedLoss(), lambda unit, x, inside, outside: x - mean(outside)),
    ]


def simulate(n_units: int, n_shadows: int, n_auxiliary: int) -> SignalMatrix:
    """Simulate signals of shadow models in complementary pairs."""
    rng = np.random.default_rng(0)
    half = rng.random((n_shadows // 2, n_units)) < 0.5
    members = np.stack([half, ~half], axis=1).reshape(n_shadows, n_units)

    def signals(models: int, members: np.ndarray | float, difficulty: np.ndarray) -> np.ndarray:
        return (difficulty + members + 0.5 * rng.standard_normal((models, len(difficulty))))[..., None]

    difficulty, auxiliary_difficulty = rng.standard_normal(n_units), rng.standard_normal(n_auxiliary)
    shadows = signals(n_shadows, 0.5 * members, difficulty)
    return SignalMatrix(
        units=pd.RangeIndex(n_units),
        target=signals(1, 0.5 * (rng.random(n_units) < 0.5), difficulty)[0],
        shadows=shadows,
        members=members,
        auxiliary_target=signals(1, 0.0, auxiliary_difficulty)[0],
        auxiliary_shadows=signals(n_shadows, 0.0, auxiliary_difficulty),
        pairs=np.arange(n_shadows) // 2,
        learning_shadows=shadows,
        learning_members=members,
    )


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def p(signal: float) -> float:
    return 1 / (1 + math.exp(-signal))


def slow_lira(matrix: SignalMatrix, online: bool) -> Slow:
    groups = [matrix.members, ~matrix.members] if online else [~matrix.members]
    deviations = [np.sqrt(variances) for variances in own_variances(matrix.shadows[..., 0], groups)]

    def score(unit: int, x: float, inside: list[float], outside: list[float]) -> float:
        if not online:
            return (x - mean(outside)) / deviations[0][unit]
        inside_density = norm.logpdf(x, mean(inside), deviations[0][unit])
        return inside_density - norm.logpdf(x, mean(outside), deviations[1][unit])

    return score


def slow_rmia(matrix: SignalMatrix, online: bool, a: float = 0.0) -> Slow:
    def ratio(x: float, inside: list[float], outside: list[float]) -> float:
        if not online:
            return p(x) / (0.5 * ((1 + a) * mean([p(signal) for signal in outside]) + 1 - a))
        return p(x) / mean([mean([p(signal) for signal in group]) for group in (inside, outside) if group])

    population_ratios = [
        ratio(z, [], list(models))
        for z, models in zip(matrix.auxiliary_target[:, 0], matrix.auxiliary_shadows[..., 0].T, strict=True)
    ]

    def score(unit: int, x: float, inside: list[float], outside: list[float]) -> float:
        own = ratio(x, inside, outside)
        return mean([float(own / z >= 2) for z in population_ratios]) + 1e-6 * math.log(own)

    return score


def slow_bavaria(matrix: SignalMatrix, online: bool) -> Slow:
    prior = fit_prior(matrix.shadows[..., 0], matrix.members)

    def score(unit: int, x: float, inside: list[float], outside: list[float]) -> float:
        return _student(x, inside if online else [], outside, prior)

    return score


def _student(x: float, inside: list[float], outside: list[float], prior: Prior) -> float:
    """Compute the log ratio of two predictive densities of x.

    A unit's deviations from the mean centres have the covariance σ² (noise + own · own IN shift + shared · its centre).
    """
    centres = prior.centres
    is_in = np.array([1.0] * len(inside) + [0.0] * len(outside))
    deviations = np.array(inside + outside) - np.where(is_in, centres.in_mean, centres.out_mean)
    own = np.diag(np.where(is_in, centres.ratio, 1.0)) + prior.in_spread * np.outer(is_in, is_in)
    slopes = np.where(is_in, centres.slope, 1.0)
    weights = np.linalg.solve(own, slopes)
    residuals = deviations - slopes * (weights @ deviations) / (weights @ slopes)  # with any centre
    shape = prior.shape + (len(deviations) - 1) / 2
    variance = (prior.scale + residuals @ np.linalg.solve(own, residuals) / 2) / shape
    spread = centres.spread / variance
    covariance = own + spread * np.outer(slopes, slopes)
    densities = []
    for member, mean_centre, slope in ((1.0, centres.in_mean, centres.slope), (0.0, centres.out_mean, 1.0)):
        shared = prior.in_spread * member * is_in + spread * slope * slopes
        total = (centres.ratio + prior.in_spread if member else 1.0) + spread * slope**2
        centre = mean_centre + shared @ np.linalg.solve(covariance, deviations)
        scale = math.sqrt(variance * (total - shared @ np.linalg.solve(covariance, shared)))
        densities.append(t.logpdf(x, 2 * shape, centre, scale))
    return densities[0] - densities[1]


def _score_unit(matrix: SignalMatrix, unit: int, slow: Slow) -> float:
    models = [(float(x), bool(m)) for x, m in zip(matrix.shadows[:, unit, 0], matrix.members[:, unit], strict=True)]
    inside, outside = ([x for x, member in models if member is label] for label in (True, False))
    return slow(unit, float(matrix.target[unit, 0]), inside, outside)
