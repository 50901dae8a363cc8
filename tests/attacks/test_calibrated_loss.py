from collections.abc import Callable

import numpy as np
import pytest

from lightning_mia.attacks.calibrated_loss import CalibratedLoss
from lightning_mia.attacks.scalar_signals.base import PretextScore
from lightning_mia.attacks.shadow_models.signal_matrix import signal_matrix


@pytest.mark.parametrize("level", ["utterance", "speaker"])
@pytest.mark.parametrize("n_shadows", [2, 5, 8])
def test_scores_equal_the_formula_in_loops(simulate: Callable, n_shadows: int, level: str) -> None:
    evidence = simulate(20, n_shadows, level=level, clips=3).evidence
    matrix = signal_matrix(evidence, PretextScore())
    scores = CalibratedLoss().score(evidence)
    for place, unit in enumerate(matrix.units):
        out = [matrix.shadows[k, place, 0] for k in range(n_shadows) if not matrix.members[k, place]]
        assert scores[unit] == pytest.approx(matrix.target[place, 0] - sum(out) / len(out), abs=1e-9)


def test_difficulty_is_removed(simulate: Callable, auroc: Callable) -> None:
    fleet = simulate(300, 8, effect=2.0, spread=10.0)
    assert auroc(CalibratedLoss().score(fleet.evidence), fleet.members) > 0.85
    alone = fleet.evidence.target.pretext_score().loc[fleet.members.index]
    assert auroc(alone, fleet.members) < 0.65


@pytest.mark.parametrize("pool", [False, True])
def test_sign_of_a_signal_is_learned(simulate: Callable, planted_signal: Callable, auroc: Callable, pool: bool) -> None:
    fleet = simulate(200, 8, effect=-2.0, pool=pool)
    attack = CalibratedLoss(planted_signal(["pretext_score_mask0"], two_sided=True))
    scores = attack.score(fleet.evidence)
    assert scores.dtype == np.float64
    assert auroc(scores, fleet.members) > 0.8
