from collections.abc import Callable

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.shadow_models.direction import membership_direction, oriented
from lightning_mia.attacks.shadow_models.signal_matrix import signal_matrix

MIXING = np.array([[1.0, 0.6, 0.0], [0.0, 1.0, -0.5], [0.3, 0.0, 2.0]])
SHIFT = np.array([0.5, -0.8, 0.0])


def fleet(n_shadows: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n_shadows)
    half = rng.random((n_shadows // 2, n)) < 0.5
    members = np.stack([half, ~half], axis=1).reshape(-1, n)
    noise = rng.standard_normal((n_shadows, n, 3)) @ MIXING
    return 5 * rng.standard_normal((n, 3)) + members[..., None] * SHIFT + noise, members


@pytest.mark.parametrize("n_shadows", [2, 4, 16])
def test_direction_is_the_discriminant_within_units(n_shadows: int) -> None:
    shadows, members = fleet(n_shadows, 8000)
    direction = membership_direction(shadows, members)
    ideal = np.linalg.solve(MIXING.T @ MIXING, SHIFT)
    assert direction @ ideal / np.linalg.norm(direction) / np.linalg.norm(ideal) > 0.995
    assert direction @ MIXING.T @ MIXING @ direction == pytest.approx(1, rel=0.05)


def test_direction_equals_scikit_learn_for_equal_units() -> None:
    shadows, members = fleet(16, 3000)
    centred = shadows - shadows.mean(0)  # units have no difficulty then, and as many IN as OUT
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(centred.reshape(-1, 3), members.ravel()).coef_[0]
    direction = membership_direction(shadows, members)
    assert direction @ theirs / np.linalg.norm(direction) / np.linalg.norm(theirs) == pytest.approx(1, abs=1e-4)


def test_single_number_has_a_sign() -> None:
    shadows, members = fleet(4, 500)
    assert membership_direction(shadows[..., :1], members).tolist() == [1.0]
    assert membership_direction(-shadows[..., :1], members).tolist() == [-1.0]


def test_known_sign_is_kept(simulate: Callable, planted_signal: Callable) -> None:
    evidence = simulate(30, 4, effect=-3.0).evidence
    matrix = signal_matrix(evidence, planted_signal(["pretext_score_mask0"]))
    assert oriented(matrix, two_sided=False) is matrix
    reversed_sign = oriented(matrix, two_sided=True)
    for name in ("target", "shadows", "auxiliary_target", "auxiliary_shadows", "learning_shadows"):
        assert np.array_equal(getattr(reversed_sign, name), -getattr(matrix, name)), name


def test_units_without_in_and_out_models_raise() -> None:
    shadows, members = fleet(4, 50)
    with pytest.raises(CannotRun, match="it needs units that are IN for one shadow model and OUT for another"):
        membership_direction(shadows, np.zeros_like(members))
