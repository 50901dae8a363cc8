"""Attacks as functions of arrays: shapes, types, bad input, equality with the classes."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType

import numpy as np
import pytest
import torch

import lightning_mia
from lightning_mia import attacks
from lightning_mia.attacks import AttackR, BaVarIA, CalibratedLoss, LiRA, MidPoint
from lightning_mia.attacks.scalar_signals.base import PretextScore
from lightning_mia.attacks.shadow_models.arrays import complementary_pairs
from lightning_mia.attacks.shadow_models.signal_matrix import signal_matrix
from lightning_mia.utilities.errors import InputError

NAMES = ("lira", "rmia", "bavaria", "midpoint", "attack_r", "calibrated_loss")
WITH_OFFLINE = ("lira", "rmia", "bavaria", "midpoint")

N, K = 12, 6


def arrays(seed: int = 0, n: int = N, n_shadows: int = K) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    half = rng.permuted(np.tile(np.arange(n) % 2 == 0, (n_shadows // 2, 1)), axis=1)
    inside = np.stack([half, ~half], axis=1).reshape(-1, n)
    return rng.normal(size=n), rng.normal(2 * inside), inside


@pytest.mark.parametrize("name", NAMES)
def test_scores_have_one_number_per_unit(name: str) -> None:
    scores = getattr(attacks, name)(*arrays())
    assert isinstance(scores, np.ndarray)
    assert (scores.shape, scores.dtype) == ((N,), np.float64)


@pytest.mark.parametrize("name", NAMES)
def test_torch_and_numpy_give_the_same_scores(name: str) -> None:
    target, shadows, inside = arrays()
    attack = getattr(attacks, name)
    scores = attack(torch.from_numpy(target), torch.from_numpy(shadows), torch.from_numpy(inside))
    assert isinstance(scores, torch.Tensor)
    assert np.array_equal(scores.numpy(), attack(target, shadows, inside))
    mixed = attack(target, torch.from_numpy(shadows).requires_grad_(), inside.tolist())
    assert np.array_equal(mixed, attack(target, shadows, inside))


@pytest.mark.parametrize(
    ("function", "attack"),
    [
        (attacks.lira, LiRA()),
        (partial(attacks.lira, online=False), LiRA(online=False)),
        (attacks.bavaria, BaVarIA()),
        (partial(attacks.bavaria, online=False), BaVarIA(online=False)),
        (attacks.midpoint, MidPoint()),
        (partial(attacks.midpoint, online=False), MidPoint(online=False)),
        (partial(attacks.midpoint, centre="median"), MidPoint(centre="median")),
        (attacks.attack_r, AttackR()),
        (attacks.calibrated_loss, CalibratedLoss()),
    ],
)
def test_function_and_class_agree(simulate: Callable, function: Callable, attack: attacks.Attack) -> None:
    evidence = simulate(40, 8, effect=1.0).evidence
    matrix = signal_matrix(evidence, PretextScore())
    scores = function(matrix.target[:, 0], matrix.shadows[..., 0], matrix.members)
    assert np.array_equal(scores, attack.score(evidence).to_numpy())


@pytest.mark.parametrize("online", [True, False])
def test_rmia_with_auxiliary_units_agrees_with_the_class(simulate: Callable, online: bool) -> None:
    evidence = simulate(40, 8, effect=1.0).evidence
    matrix = signal_matrix(evidence, PretextScore())
    signals = matrix.target[:, 0], matrix.shadows[..., 0], matrix.members
    z = {"auxiliary_target": matrix.auxiliary_target[:, 0], "auxiliary_shadows": matrix.auxiliary_shadows[..., 0]}
    scores = attacks.rmia(*signals, online, **z)
    assert np.array_equal(scores, attacks.RMIA(online=online).score(evidence).to_numpy())
    assert np.array_equal(np.argsort(scores), np.argsort(attacks.rmia(*signals, online)))


@pytest.mark.parametrize("name", WITH_OFFLINE)
def test_offline_scores_do_not_read_in_models(name: str) -> None:
    target, shadows, inside = arrays()
    fixed = {
        "lira": {},
        "rmia": {"a": 0.3},
        "bavaria": {"prior": attacks_prior()},
        "midpoint": {"centres": attacks_prior().centres},
    }[name]
    changed = np.where(inside, 99.0, shadows)
    attack = partial(getattr(attacks, name), online=False, **fixed)
    assert np.array_equal(attack(target, shadows, inside), attack(target, changed, inside))
    assert attack(target, shadows, None).shape == (N,)


def attacks_prior() -> "object":
    from lightning_mia.attacks.bavaria import fit_prior

    _, shadows, inside = arrays(1)
    return fit_prior(shadows, inside)


def test_lira_takes_several_signals_per_unit() -> None:
    target, shadows, inside = arrays()
    joint = attacks.lira(np.stack([target, target**2], 1), np.stack([shadows, shadows**2], 2), inside)
    assert joint.shape == (N,)
    with pytest.raises(InputError, match=r"attacks.lira: target has shape \(12, 2\)"):
        attacks.lira(np.stack([target, target], 1), np.stack([shadows, shadows], 2), inside, online=False)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, s, i: (t[1:], s, i), r"shadows has shape \(6, 12\), but target \(11,\)"),
        (lambda t, s, i: (t, s.T, i), r"shadows has shape \(12, 6\), but target \(12,\)"),
        (lambda t, s, i: (t, s, i[1:]), r"inside has shape \(5, 12\), but shadows \(6, 12\)"),
        (lambda t, s, i: (np.where(np.arange(N) == 3, np.nan, t), s, i), "target: 1 of 12 .* not finite.* index 3"),
        (lambda t, s, i: (t, np.where(i, np.inf, s), i), "shadows: 36 of 72 numbers are not finite"),
        (
            lambda t, s, i: (t, s[:1], i[:1]),
            "holds 1 shadow model; give at least 2|every unit a shadow model that is OUT",
        ),
        (lambda t, s, i: (t, s, i.astype(int)), "inside is int64, not bool"),
        (lambda t, s, i: (t, s, np.where(i, "in", "out")), "inside is <U3, not bool"),
        (lambda t, s, i: (t.astype(str), s, i), "target: expected numbers, but got text"),
        (lambda t, s, i: (t[None, None], s, i), r"target has shape \(1, 1, 12\)"),
        (lambda t, s, i: (t, s, np.ones_like(i)), "a shadow model that is OUT, and 12 of 12 units have none"),
        (lambda t, s, i: (t, [[1.0], [1.0, 2.0]], i), "give rows of equal length"),
        (lambda t, s, i: (t[:0], s[:, :0], i[:, :0]), "target is empty"),
    ],
)
def test_bad_arrays_are_refused_in_one_line(name: str, change: Callable, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        getattr(attacks, name)(*change(*arrays()))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", WITH_OFFLINE)
def test_online_attacks_need_in_models(name: str) -> None:
    target, shadows, _ = arrays()
    with pytest.raises(InputError, match="IN for the challenge units"):
        getattr(attacks, name)(target, shadows, None)


def test_arguments_of_single_attacks_are_checked() -> None:
    target, shadows, inside = arrays()
    with pytest.raises(InputError, match=r"attacks\.rmia: gamma is -1: give more than 0"):
        attacks.rmia(target, shadows, inside, gamma=-1)
    with pytest.raises(InputError, match="auxiliary_target and auxiliary_shadows together"):
        attacks.rmia(target, shadows, inside, auxiliary_target=target)
    with pytest.raises(InputError, match=r"give \(m,\) and \(6, m\)"):
        attacks.rmia(target, shadows, inside, auxiliary_target=target, auxiliary_shadows=shadows[:2])
    with pytest.raises(InputError, match="centre is 'mode'; give mean or median"):
        attacks.midpoint(target, shadows, inside, centre="mode")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="IN for one shadow model and OUT for another"):
        attacks.bavaria(target, shadows, None, online=False)


def test_a_model_has_at_most_one_complementary_partner() -> None:
    inside = np.array([[1, 0, 0], [0, 1, 1], [0, 1, 1], [1, 0, 0], [1, 1, 0]], dtype=bool)
    assert complementary_pairs(inside).tolist() == [0, 0, 2, 2, 4]


@pytest.mark.parametrize("name", NAMES)
def test_the_name_is_the_function_not_the_module(name: str) -> None:
    assert not isinstance(getattr(attacks, name), ModuleType)
    assert getattr(lightning_mia.attacks, name).__name__ == name


@pytest.mark.slow
def test_the_name_is_the_function_after_every_import_order() -> None:
    first = [f"lightning_mia.attacks.{name}" for name in (*NAMES, "runner.defaults", "shadow_models.arrays", "base")]
    code = f"""
import importlib, sys
for first in {first}:
    for name in [name for name in sys.modules if name.startswith("lightning_mia")]:
        del sys.modules[name]
    importlib.import_module(first)
    from lightning_mia import attacks
    assert all(callable(getattr(attacks, name)) for name in {NAMES}), first
    for name in {NAMES}:
        importlib.import_module("lightning_mia.attacks." + name)
    assert all(callable(getattr(attacks, name)) for name in {NAMES}), first
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
