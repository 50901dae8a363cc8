"""Attacks with reference models, of which no member is known."""

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks import RMIA, Attack, BaVarIA, CalibratedLoss, LiRA
from lightning_mia.attacks.base import CannotRun, Evidence, ShadowModels
from lightning_mia.attacks.bavaria import bavaria_without_members
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.signals.table import Signals

N = 400
MEMBERS = np.arange(N) % 2 == 0
OFFLINE: list[Attack] = [CalibratedLoss(), RMIA(online=False), LiRA(online=False), BaVarIA(online=False)]


def signals(values: np.ndarray) -> Signals:
    table = pd.DataFrame({"pretext_score_mask0": values}, index=[f"u{i}" for i in range(len(values))])
    return Signals(table, np.zeros((len(values), 1, 1)))


def evidence(n_references: int, effect: float = 1.0, difficulty: float = 3.0, noise: float = 0.5) -> Evidence:
    """Plant an effect that the difficulty of the recordings hides; the last 100 recordings are auxiliary."""
    rng = np.random.default_rng(0)
    hardness = difficulty * rng.standard_normal(N + 100)
    scores = [hardness + noise * rng.standard_normal(N + 100) for _ in range(1 + n_references)]
    scores[0][:N] += effect * MEMBERS
    ids = [f"u{i}" for i in range(N + 100)]
    names = [f"reference_{number:03d}" for number in range(n_references)]
    references = ShadowModels(
        [signals(values) for values in scores[1:]],
        pd.DataFrame(columns=names, dtype=bool),
        pd.DataFrame(columns=["id", "unit_id", "speaker"], dtype=object),
    )
    challenge = pd.DataFrame({"id": ids[:N], "unit_id": ids[:N], "speaker": "s"})
    auxiliary = pd.DataFrame({"id": ids[N:], "speaker": "s"})
    return Evidence(signals(scores[0]), challenge, auxiliary, shadows=references)


def auroc(values: pd.Series) -> float:
    return float(labelled_aurocs(values.to_numpy(), MEMBERS[None])[0])


@pytest.mark.parametrize("attack", OFFLINE, ids=lambda attack: attack.name)
def test_references_remove_the_difficulty_of_the_recordings(attack: Attack) -> None:
    planted = evidence(n_references=4)
    assert auroc(planted.target.pretext_score()[:N]) < 0.65
    assert auroc(attack.score(planted)) > 0.9


def test_one_reference_suffices_for_the_calibrated_loss_and_rmia() -> None:
    planted = evidence(n_references=1)
    for attack in OFFLINE[:2]:
        assert attack.min_shadows == 1
        assert auroc(attack.score(planted)) > 0.8
    assert {attack.min_shadows for attack in OFFLINE[2:]} == {2}


def test_attacks_that_learn_from_members_say_that_none_is_known() -> None:
    with pytest.raises(CannotRun, match="IN for the challenge units"):
        RMIA().score(evidence(n_references=4))


def test_references_that_only_add_noise_are_ignored() -> None:
    """Where they do not agree on any difficulty, the OUT centre of every unit is the same."""
    rng = np.random.default_rng(1)
    target, models = rng.standard_normal(N), rng.standard_normal((4, N))
    scores = bavaria_without_members(target, models)
    assert np.corrcoef(scores, target)[0, 1] > 0.9


def test_references_that_agree_are_subtracted() -> None:
    rng = np.random.default_rng(1)
    hardness = 10 * rng.standard_normal(N)
    target, models = hardness + rng.standard_normal(N), hardness + 0.1 * rng.standard_normal((4, N))
    scores = bavaria_without_members(target, models)
    assert np.corrcoef(scores, target - models.mean(0))[0, 1] > 0.9


def test_a_unit_on_which_the_references_disagree_counts_less() -> None:
    rng = np.random.default_rng(2)
    spread = np.where(np.arange(N) < N // 2, 0.1, 3.0)
    hardness = 10 * rng.standard_normal(N)
    models = hardness + spread * rng.standard_normal((6, N))
    scores = bavaria_without_members(models.mean(0) + 1.0, models)
    assert scores[: N // 2].mean() > 3 * scores[N // 2 :].mean()
