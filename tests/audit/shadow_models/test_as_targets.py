"""Every shadow model as the target in turn, and the fleet in part, on planted signals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from lightning_mia.attacks import PretextLoss
from lightning_mia.attacks.base import ShadowModels
from lightning_mia.attacks.calibrated_loss import CalibratedLoss
from lightning_mia.audit.probed_model import ProbedModel
from lightning_mia.audit.shadow_models.as_targets import FleetAnswers, by_number_of_shadow_models, each_as_target
from lightning_mia.evaluation import EvaluationSettings
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Split, UtteranceDesign
from lightning_mia.splits.auxiliary_pool import draw_from_pool

N_SHADOWS = 6
SETTINGS = EvaluationSettings(n_bootstraps=100)
PARTS = [("utterance", "trained")]


def drawn(n_shadows: int, n_auxiliary: int = 20) -> Split:
    ids = [f"s{number % 20:02d}/{number // 20}" for number in range(120 + n_auxiliary)]
    table = pd.DataFrame({"id": ids, "speaker": [name.split("/")[0] for name in ids]})
    return UtteranceDesign(120, n_auxiliary).draw(table, {name: name for name in ids}, n_shadows=n_shadows)


def answers(split: Split, model: str, effect: float, seed: int) -> Signals:
    """An utterance's difficulty, the same for all models, an effect of being IN, and noise."""
    ids = split.table["id"]
    difficulty = 2 * np.random.default_rng(99).standard_normal(len(ids))
    noise = np.random.default_rng(seed).standard_normal(len(ids))
    score = difficulty + noise + effect * (split.table[model] & (split.table["part"] == "trained"))
    return Signals(pd.DataFrame({"pretext_score": score.to_numpy()}, index=list(ids)), np.zeros((len(ids), 1, 2)))


def fleet_of(split: Split, effect: float, folder: Path) -> tuple[ProbedModel, FleetAnswers]:
    signals = [answers(split, name, effect, seed) for seed, name in enumerate(split.shadows)]
    members = split.table.set_index("id")[split.shadows]
    known = split.pool()
    members = members[split.table.set_index("id")["part"] != ""] if known is None else members.loc[known["id"]]
    shadows = ShadowModels(signals, members, known)
    asked = [ProbedModel(one, None, str(number), folder) for number, one in enumerate(signals)]
    return ProbedModel(answers(split, "target", effect, 77), None, "target", folder), FleetAnswers(shadows, asked)


def test_each_turn_is_judged_by_the_shadow_models_own_members(tmp_path: Path) -> None:
    split = drawn(N_SHADOWS)
    _, fleet = fleet_of(split, 1.5, tmp_path)
    found = each_as_target([PretextLoss()], fleet, split, PARTS, SETTINGS, 0)["pretext_loss", "utterance"]
    rows = split.challenge("utterance")
    scores = [one.scalars["pretext_score"].loc[rows["id"]] for one in fleet.shadows.signals]
    own = [roc_auc_score(fleet.shadows.members.loc[rows["id"]].iloc[:, k], one) for k, one in enumerate(scores)]
    wrong = [roc_auc_score(rows["member"], one) for one in scores]
    assert found.n_targets == N_SHADOWS
    assert found.auroc_mean == pytest.approx(np.mean(own), abs=1e-12)
    assert found.auroc_sd == pytest.approx(np.std(own, ddof=1), abs=1e-12)
    assert found.wrong_model_auroc_mean == pytest.approx(np.mean(wrong), abs=1e-12)
    assert len(found.tpr_mean) == len(SETTINGS.fprs)


def test_the_partner_is_left_out_of_a_turn(tmp_path: Path) -> None:
    """With the partner in, the OUT mean would differ by whether the unit is IN, and noise would separate."""
    turns = []
    for seed in range(8):
        split = drawn(4)
        signals = [answers(split, name, 0.0, 1000 * seed + k) for k, name in enumerate(split.shadows)]
        members = split.table.set_index("id")[split.shadows][split.table.set_index("id")["part"] != ""]
        asked = [ProbedModel(one, None, str(number), tmp_path) for number, one in enumerate(signals)]
        fleet = FleetAnswers(ShadowModels(signals, members), asked)
        turns.append(
            each_as_target([CalibratedLoss()], fleet, split, PARTS, SETTINGS, 0)["calibrated_loss", "utterance"]
        )
    assert np.mean([turn.auroc_mean for turn in turns]) == pytest.approx(0.5, abs=0.03)


def test_a_planted_leak_is_found_in_turn_and_not_by_the_wrong_models(tmp_path: Path) -> None:
    split = drawn(N_SHADOWS)
    target, fleet = fleet_of(split, 2.0, tmp_path)
    attacks = [PretextLoss(), CalibratedLoss()]
    turns = each_as_target(attacks, fleet, split, PARTS, SETTINGS, 0)
    alone, calibrated = turns["pretext_loss", "utterance"], turns["calibrated_loss", "utterance"]
    assert calibrated.auroc_mean > alone.auroc_mean > 0.6
    assert abs(calibrated.wrong_model_auroc_mean - 0.5) < 0.1
    fewer = by_number_of_shadow_models(attacks, target, fleet, split, PARTS, SETTINGS, 0)
    assert [one.n_shadows for one in fewer["calibrated_loss", "utterance"]] == [2, 4]
    assert ("pretext_loss", "utterance") not in fewer  # it needs no shadow models


def test_a_fleet_that_never_saw_a_challenge_unit_takes_no_turns(tmp_path: Path) -> None:
    split = draw_from_pool(drawn(0, n_auxiliary=150), 4, seed=0)
    target, fleet = fleet_of(split, 2.0, tmp_path)
    assert each_as_target([PretextLoss()], fleet, split, PARTS, SETTINGS, 0) == {}
    found = by_number_of_shadow_models([CalibratedLoss()], target, fleet, split, PARTS, SETTINGS, 0)
    assert found["calibrated_loss", "utterance"][-1].auroc > 0.7
