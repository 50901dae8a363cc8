from collections.abc import Callable

import numpy as np
import pytest

from lightning_mia.attacks.attack_r import AttackR, attack_r


@pytest.mark.parametrize("n_shadows", [2, 5, 16])
def test_scores_equal_the_formula_in_loops(n_shadows: int) -> None:
    rng = np.random.default_rng(n_shadows)
    target, shadows = rng.integers(0, 4, 50).astype(float), rng.integers(0, 4, (n_shadows, 50)).astype(float)
    members = rng.random((n_shadows, 50)) < 0.5
    members[0] = False
    scores = attack_r(target, shadows, members)
    for unit in range(50):
        out = [k for k in range(n_shadows) if not members[k, unit]]
        assert scores[unit] == pytest.approx(sum(target[unit] >= shadows[k, unit] for k in out) / len(out), abs=1e-12)


@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_planted_leak_is_found(simulate: Callable, auroc: Callable, level: str) -> None:
    fleet = simulate(200, 16, effect=2.0, level=level, clips=2)
    scores = AttackR().score(fleet.evidence)
    assert set(np.unique(scores)) <= {k / 8 for k in range(9)}  # 8 of 16 are OUT
    assert auroc(scores, fleet.members) > 0.8


@pytest.mark.parametrize("pool", [False, True])
def test_sign_of_a_signal_is_learned(simulate: Callable, planted_signal: Callable, auroc: Callable, pool: bool) -> None:
    fleet = simulate(200, 8, effect=-2.0, pool=pool)
    attack = AttackR(planted_signal(["pretext_score_mask0"], two_sided=True))
    assert auroc(attack.score(fleet.evidence), fleet.members) > 0.8
    assert (attack.name, attack.access) == ("attack_r_planted", "black-box")
