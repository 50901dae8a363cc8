"""All likelihood attacks on 100,000 units: vectorised over units, against loops that follow the formulas.

The loops are timed on a few units, and their time on all units told from that.
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
from lightning_mia.attacks.rmia import RMIA, fit_a
from lightning_mia.attacks.shadow_models.in_out import moments, pooled_covariance
from lightning_mia.attacks.shadow_models.signal_attack import SignalAttack
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix
from tools.benchmark.devices import name_of
from tools.benchmark.rows import Row, faster

N_SHADOWS, N_AUXILIARY = 16, 200
A = 0.5  # of offline RMIA, whose fit is timed apart
Slow = Callable[[float, list[float], list[float]], float]


def measure(quick: bool) -> Iterator[Row]:
    """Seconds of each attack on all units, and of all together."""
    n_units, slow_units = (10_000, 20) if quick else (100_000, 500)
    matrix, device = planted(n_units, N_SHADOWS, N_AUXILIARY), name_of("cpu")
    start = time.perf_counter()
    fit_a(matrix.learning_shadows[..., 0], matrix.learning_members, matrix.pairs)
    fit = time.perf_counter() - start
    vectorised = looped = 0.0
    for attack, slow in pairs(matrix):
        start = time.perf_counter()
        scores = attack.compare(matrix)
        seconds = time.perf_counter() - start
        start = time.perf_counter()
        own = [_slowly(matrix, unit, slow) for unit in range(slow_units)]
        loops = (time.perf_counter() - start) / slow_units * n_units
        vectorised, looped = vectorised + seconds, looped + loops
        difference = f"largest difference {np.abs(scores[:slow_units] - own).max():.1e}"
        yield faster(attack.name, seconds, "loops", loops, device=device, note=difference)
    size = f"{n_units:,} utterances × {N_SHADOWS} shadow models, {N_AUXILIARY} auxiliary recordings"
    yield Row("fit of a for offline RMIA", fit, "s", device)
    yield Row("all likelihood attacks, including that fit", vectorised + fit, "s", device, note=size)
    yield faster("all likelihood attacks, without that fit", vectorised, "loops", looped, device=device, note=size)


def pairs(matrix: SignalMatrix) -> list[tuple[SignalAttack, Slow]]:
    """Every attack with its loop."""
    return [
        (LiRA(), slow_lira(matrix, True)),
        (LiRA(online=False), slow_lira(matrix, False)),
        (RMIA(), slow_rmia(matrix, True)),
        (RMIA(online=False, a=A), slow_rmia(matrix, False, A)),
        (BaVarIA(), slow_bavaria(matrix, True)),
        (BaVarIA(online=False), slow_bavaria(matrix, False)),
        (AttackR(), lambda x, inside, outside: mean([float(x >= one) for one in outside])),
        (CalibratedLoss(), lambda x, inside, outside: x - mean(outside)),
    ]


def planted(n_units: int, n_shadows: int, n_auxiliary: int) -> SignalMatrix:
    """Signals of shadow models in complementary pairs, in memory: reading them is not timed."""
    rng = np.random.default_rng(0)
    half = rng.random((n_shadows // 2, n_units)) < 0.5
    members = np.stack([half, ~half], axis=1).reshape(n_shadows, n_units)

    def answers(models: int, inside: np.ndarray | float, difficulty: np.ndarray) -> np.ndarray:
        return (difficulty + inside + 0.5 * rng.standard_normal((models, len(difficulty))))[..., None]

    difficulty, of_auxiliary = rng.standard_normal(n_units), rng.standard_normal(n_auxiliary)
    shadows = answers(n_shadows, 0.5 * members, difficulty)
    return SignalMatrix(
        units=pd.RangeIndex(n_units),
        target=answers(1, 0.5 * (rng.random(n_units) < 0.5), difficulty)[0],
        shadows=shadows,
        members=members,
        auxiliary_target=answers(1, 0.0, of_auxiliary)[0],
        auxiliary_shadows=answers(n_shadows, 0.0, of_auxiliary),
        pairs=np.arange(n_shadows) // 2,
        learning_shadows=shadows,
        learning_members=members,
    )


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def p(signal: float) -> float:
    return 1 / (1 + math.exp(-signal))


def slow_lira(matrix: SignalMatrix, online: bool) -> Slow:
    sides = [moments(matrix.shadows, chosen) for chosen in (matrix.members, ~matrix.members)]
    sd_in, sd_out = (math.sqrt(pooled_covariance(one)[0, 0]) for one in sides)

    def score(x: float, inside: list[float], outside: list[float]) -> float:
        if not online:
            return (x - mean(outside)) / sd_out
        return norm.logpdf(x, mean(inside), sd_in) - norm.logpdf(x, mean(outside), sd_out)

    return score


def slow_rmia(matrix: SignalMatrix, online: bool, a: float = 0.0) -> Slow:
    def ratio(x: float, inside: list[float], outside: list[float]) -> float:
        if not online:
            return p(x) / (0.5 * ((1 + a) * mean([p(one) for one in outside]) + 1 - a))
        return p(x) / mean([mean([p(one) for one in of_side]) for of_side in (inside, outside) if of_side])

    of_z = [
        ratio(z, [], list(models))
        for z, models in zip(matrix.auxiliary_target[:, 0], matrix.auxiliary_shadows[..., 0].T, strict=True)
    ]

    def score(x: float, inside: list[float], outside: list[float]) -> float:
        own = ratio(x, inside, outside)
        return mean([float(own / z >= 2) for z in of_z]) + 1e-6 * math.log(own)

    return score


def slow_bavaria(matrix: SignalMatrix, online: bool) -> Slow:
    prior = fit_prior(matrix.shadows[..., 0], matrix.members)

    def score(x: float, inside: list[float], outside: list[float]) -> float:
        return _student(x, inside if online else [], outside, prior)

    return score


def _student(x: float, inside: list[float], outside: list[float], prior: Prior) -> float:
    """Regression of a unit's signals on (1, IN), with a prior on the second coefficient: its two predictions of x."""
    design = np.array([[1.0, 1.0]] * len(inside) + [[1.0, 0.0]] * len(outside))
    signals = np.array(inside + outside) - prior.shift * design[:, 1]
    precision = np.diag([1 / prior.ratio] * len(inside) + [1.0] * len(outside))
    of_prior = np.diag([0.0, 1 / max(prior.shift_spread, 1e-12)])
    inverse = np.linalg.inv(design.T @ precision @ design + of_prior)
    coefficients = inverse @ design.T @ precision @ signals
    residuals = signals - design @ coefficients
    squares = residuals @ precision @ residuals + coefficients @ of_prior @ coefficients
    shape = prior.shape + (len(signals) - 1) / 2
    densities = []
    for row, noise in ((np.array([1.0, 1.0]), prior.ratio), (np.array([1.0, 0.0]), 1.0)):
        centre = row @ coefficients + prior.shift * row[1]
        scale = math.sqrt((prior.scale + squares / 2) / shape * (noise + row @ inverse @ row))
        densities.append(t.logpdf(x, 2 * shape, centre, scale))
    return densities[0] - densities[1]


def _slowly(matrix: SignalMatrix, unit: int, slow: Slow) -> float:
    models = [(float(x), bool(m)) for x, m in zip(matrix.shadows[:, unit, 0], matrix.members[:, unit], strict=True)]
    inside, outside = ([x for x, member in models if member is label] for label in (True, False))
    return slow(float(matrix.target[unit, 0]), inside, outside)
