import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.rmia import RMIA, SpeakerRMIA, fit_a, log_ratio_offline, log_ratio_online, share_exceeded
from lightning_mia.attacks.runner.simulation import SimulatedAudit
from lightning_mia.attacks.scalar_signals.base import PretextScore
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix, signal_matrix
from lightning_mia.utilities.errors import InputError


def p(signal: float) -> float:
    return 1 / (1 + math.exp(-signal))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def slow_ratio(target: float, inside: list[float], outside: list[float], a: float | None) -> float:
    """Compute r(x) of a recording, online (`a` is None) or offline."""
    if a is not None:
        return p(target) / (0.5 * ((1 + a) * mean([p(x) for x in outside]) + (1 - a)))
    means = [mean([p(x) for x in group]) for group in (inside, outside) if group]
    return p(target) / mean(means)


def slow_rmia(matrix: SignalMatrix, a: float | None, gamma: float) -> list[float]:
    shares = []
    z_ratios = [
        slow_ratio(target, [], list(shadows), a)
        for target, shadows in zip(matrix.auxiliary_target[:, 0], matrix.auxiliary_shadows[..., 0].T, strict=True)
    ]
    for unit in range(len(matrix.units)):
        inside = [x for x, member in zip(matrix.shadows[:, unit, 0], matrix.members[:, unit], strict=True) if member]
        outside = [
            x for x, member in zip(matrix.shadows[:, unit, 0], matrix.members[:, unit], strict=True) if not member
        ]
        ratio = slow_ratio(matrix.target[unit, 0], inside, outside, a)
        exceeded = sum(ratio / z_ratio >= gamma for z_ratio in z_ratios)
        shares.append(exceeded / len(z_ratios) + 1e-6 * math.log(ratio))
    return shares


@pytest.mark.parametrize("a", [None, 0.0, 0.3, 1.0])
@pytest.mark.parametrize(("n_shadows", "gamma"), [(2, 2.0), (5, 1.0), (16, 2.0)])
def test_scores_equal_the_formula_in_loops(simulate: Callable, n_shadows: int, gamma: float, a: float | None) -> None:
    evidence = simulate(30, n_shadows, effect=3.0, n_auxiliary=40).evidence
    scores = RMIA(online=a is None, gamma=gamma, a=a).score(evidence)
    expected = slow_rmia(signal_matrix(evidence, PretextScore()), a, gamma)
    assert np.allclose(scores, expected, rtol=0, atol=1e-9)
    assert len(set(np.round(expected, 4))) > 3


@pytest.mark.parametrize("online", [True, False])
def test_tie_break_preserves_the_order_of_shares(simulate: Callable, online: bool) -> None:
    matrix = signal_matrix(simulate(300, 8, n_auxiliary=5).evidence, PretextScore())
    scores = RMIA(online=online, a=None if online else 0.5).compare(matrix)
    target, shadows = matrix.target[:, 0], matrix.shadows[..., 0]
    ratios = (
        log_ratio_online(target, shadows, matrix.members)
        if online
        else log_ratio_offline(target, shadows, matrix.members, 0.5)
    )
    assert len(np.unique(scores)) == 300
    assert np.array_equal(np.argsort(scores), np.argsort(ratios))
    shares = np.round(scores, 2)  # of 5 recordings
    assert len(np.unique(shares)) <= 6
    assert (np.diff(shares[np.argsort(scores)]) >= 0).all()


def test_ratio_equal_to_gamma_counts() -> None:
    assert share_exceeded(np.log([2.0, 1.999]), np.log([1.0, 4.0]), gamma=2.0).tolist() == [0.5, 0.0]


def test_extreme_signals_give_finite_ratios() -> None:
    far = np.array([1e4, -1e4])
    members = np.array([[True, True], [False, False]])
    for shadows in (np.full((2, 2), 1e4), np.full((2, 2), -1e4)):
        assert np.isfinite(log_ratio_online(far, shadows, members)).all()
        assert np.isfinite(log_ratio_offline(far, shadows, members, a=1.0)).all()


def slow_fit(shadows: np.ndarray, members: np.ndarray, pairs: np.ndarray) -> float:
    """Attack each shadow model with the OUT models of other pairs."""
    best, best_a = -1.0, -1.0
    for a in np.linspace(0, 1, 11):
        aurocs = []
        for k in range(len(shadows)):
            ratios = []
            for unit in range(shadows.shape[1]):
                others = [j for j in range(len(shadows)) if pairs[j] != pairs[k] and not members[j, unit]]
                ratios.append(slow_ratio(shadows[k, unit], [], [shadows[j, unit] for j in others], a))
            wins = [
                (x > y) + (x == y) / 2
                for x, member in zip(ratios, members[k], strict=True)
                for y, other in zip(ratios, members[k], strict=True)
                if member and not other
            ]
            aurocs.append(mean(wins))
        if mean(aurocs) > best + 1e-12:
            best, best_a = mean(aurocs), float(a)
    return best_a


@pytest.mark.parametrize(("n_shadows", "spread"), [(4, 0.5), (6, 2.0), (8, 5.0)])
def test_fit_of_a_leaves_out_the_pair(simulate: Callable, n_shadows: int, spread: float) -> None:
    matrix = signal_matrix(simulate(40, n_shadows, spread=spread).evidence, PretextScore())
    a = fit_a(matrix.shadows[..., 0], matrix.members, matrix.pairs)
    assert a == slow_fit(matrix.shadows[..., 0], matrix.members, matrix.pairs)


def probabilities(simulate: Callable, n_shadows: int, slope: float, seed: int) -> SimulatedAudit:
    return simulate(1000, n_shadows, slope=slope, spread=1.0, effect=1.0, seed=seed)


def slow_slope(shadows: np.ndarray, members: np.ndarray, n_outside: float) -> float:
    """Regress p_in on p̄_out of n models, from one value of each: its variance has n_outside times less noise."""
    outside = np.array(
        [p(shadows[1, unit] if members[0, unit] else shadows[0, unit]) for unit in range(len(members.T))]
    )
    inside = np.array([p(shadows[0, unit] if members[0, unit] else shadows[1, unit]) for unit in range(len(members.T))])
    low, centre, high = np.percentile(inside - outside, [25, 50, 75])
    reach = 2 * (high - low) / 1.349
    inside = outside + np.clip(inside - outside, centre - reach, centre + reach)
    covariance = np.cov(outside, inside)
    noise = min(np.linalg.eigvalsh(covariance))
    return covariance[0, 1] / (covariance[0, 0] - noise + noise / n_outside)


@pytest.mark.parametrize("n_outside", [1.0, 2.0])
def test_a_of_a_single_pair_is_the_slope_for_its_noise(simulate: Callable, n_outside: float) -> None:
    matrix = signal_matrix(probabilities(simulate, 2, 0.3, seed=0).evidence, PretextScore())
    shadows, members = matrix.shadows[..., 0], matrix.members
    expected = slow_slope(shadows, members, n_outside)
    assert 0.05 < expected < 0.6
    assert fit_a(shadows, members, matrix.pairs, n_outside) == pytest.approx(expected, abs=0.01)  # moved towards 1


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_a_of_a_single_pair_is_nearly_the_best(simulate: Callable, auroc: Callable, slope: float) -> None:
    """And better than the ratio of the means of 1 − p, which says nothing about differences between units."""
    aurocs = []
    for seed in range(3):
        audit = probabilities(simulate, 2, slope, seed)
        matrix = signal_matrix(audit.evidence, PretextScore())
        target, shadows, members = matrix.target[:, 0], matrix.shadows[..., 0], matrix.members
        missing = [mean([1 - p(x) for x in shadows[members == member]]) for member in (True, False)]
        candidates = [fit_a(shadows, members, matrix.pairs), missing[0] / missing[1], *np.linspace(0, 1, 11)]
        scores = [log_ratio_offline(target, shadows, members, a) for a in candidates]
        aurocs.append([auroc(pd.Series(values, matrix.units), audit.members) for values in scores])
    fitted, by_means, *others = np.mean(aurocs, axis=0)
    assert fitted > max(others) - 0.005
    assert fitted > by_means + 0.005


def test_a_does_not_depend_on_target_or_auxiliary_recordings(simulate: Callable) -> None:
    matrix = signal_matrix(simulate(60, 8).evidence, PretextScore())
    other = replace(matrix, target=matrix.target[::-1])
    a = fit_a(matrix.learning_shadows[..., 0], matrix.learning_members, matrix.pairs)
    for changed in (matrix, other):
        assert np.array_equal(RMIA(online=False).compare(changed), RMIA(online=False, a=a).compare(changed))


@pytest.mark.parametrize("pool", [False, True])
def test_offline_attack_reveals_a_leak(simulate: Callable, auroc: Callable, pool: bool) -> None:
    fleet = simulate(200, 8, effect=2.0, pool=pool)
    assert auroc(RMIA(online=False).score(fleet.evidence), fleet.members) > 0.8


def test_sign_of_a_signal_is_learned(simulate: Callable, planted_signal: Callable, auroc: Callable) -> None:
    fleet = simulate(200, 8, effect=-2.0)
    for online in (True, False):
        attack = RMIA(planted_signal(["pretext_score_mask0"], two_sided=True), online)
        assert auroc(attack.score(fleet.evidence), fleet.members) > 0.8


def test_missing_auxiliary_recordings_raise(simulate: Callable) -> None:
    with pytest.raises(CannotRun, match="it needs auxiliary recordings, and there are none"):
        RMIA().score(simulate(20, 4, n_auxiliary=0).evidence)


def test_names_and_settings() -> None:
    attacks = [RMIA(), RMIA(online=False), RMIA(gamma=1), RMIA(online=False, gamma=1.5, a=0.3), RMIA(a=0.3)]
    assert [attack.name for attack in attacks] == [
        "rmia",
        "rmia_offline",
        "rmia_gamma1",
        "rmia_offline_gamma1.5_a0.3",
        "rmia",
    ]
    for wrong, message in (({"gamma": 0.0}, "gamma is 0.0: give more than 0"), ({"a": 1.1}, "a is 1.1: give 0 to 1")):
        for cls in (RMIA, SpeakerRMIA):
            with pytest.raises(InputError, match=f"^RMIA.{message}$"):
                cls(**wrong)
