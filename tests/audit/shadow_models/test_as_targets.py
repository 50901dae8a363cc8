"""Attacks with each shadow model as target, and with fewer shadow models, on planted signals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from lightning_mia.attacks import PretextLoss
from lightning_mia.attacks.base import ShadowModels
from lightning_mia.attacks.calibrated_loss import CalibratedLoss
from lightning_mia.audit.probed_model import ProbedModel
from lightning_mia.audit.shadow_models.as_targets import by_number_of_shadow_models, each_as_target
from lightning_mia.audit.shadow_models.trained import TrainedShadowModels
from lightning_mia.evaluation import EvaluationSettings
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Split, UtteranceDesign
from lightning_mia.splits.auxiliary_pool import draw_from_pool

N_SHADOWS = 6
SETTINGS = EvaluationSettings(n_bootstraps=100)
PARTS = [("utterance", "trained")]


def draw_split(n_shadows: int, n_auxiliary: int = 20) -> Split:
    ids = [f"s{number % 20:02d}/{number // 20}" for number in range(120 + n_auxiliary)]
    table = pd.DataFrame({"id": ids, "speaker": [name.split("/")[0] for name in ids]})
    return UtteranceDesign(120, n_auxiliary).draw(table, {name: name for name in ids}, n_shadows=n_shadows)


def plant_signals(split: Split, model: str, effect: float, seed: int) -> Signals:
    """An utterance's difficulty, the same for all models, an effect of being IN, and noise."""
    ids = split.table["id"]
    difficulty = 2 * np.random.default_rng(99).standard_normal(len(ids))
    noise = np.random.default_rng(seed).standard_normal(len(ids))
    score = difficulty + noise + effect * (split.table[model] & (split.table["part"] == "trained"))
    return Signals(pd.DataFrame({"pretext_score": score.to_numpy()}, index=list(ids)), np.zeros((len(ids), 1, 2)))


def probe_all(split: Split, effect: float, folder: Path) -> tuple[ProbedModel, TrainedShadowModels]:
    signals = [plant_signals(split, name, effect, seed) for seed, name in enumerate(split.shadows)]
    members = split.table.set_index("id")[split.shadows]
    known = split.pool()
    members = members[split.table.set_index("id")["part"] != ""] if known is None else members.loc[known["id"]]
    shadows = ShadowModels(signals, members, known)
    probed = [ProbedModel(of_model, None, str(number), folder) for number, of_model in enumerate(signals)]
    return ProbedModel(plant_signals(split, "target", effect, 77), None, "target", folder), TrainedShadowModels(
        shadows, probed
    )


def test_each_shadow_model_is_evaluated_by_its_own_members(tmp_path: Path) -> None:
    split = draw_split(N_SHADOWS)
    _, fleet = probe_all(split, 1.5, tmp_path)
    result = each_as_target([PretextLoss()], fleet, split, PARTS, SETTINGS, 0)["pretext_loss", "utterance"]
    rows = split.challenge("utterance")
    scores = [model.scalars["pretext_score"].loc[rows["id"]] for model in fleet.shadows.signals]
    own = [roc_auc_score(fleet.shadows.members.loc[rows["id"]].iloc[:, k], score) for k, score in enumerate(scores)]
    wrong = [roc_auc_score(rows["member"], score) for score in scores]
    assert result.n_targets == N_SHADOWS
    assert result.auroc_mean == pytest.approx(np.mean(own), abs=1e-12)
    assert result.auroc_sd == pytest.approx(np.std(own, ddof=1), abs=1e-12)
    assert result.wrong_model_auroc_mean == pytest.approx(np.mean(wrong), abs=1e-12)
    assert len(result.tpr_mean) == len(SETTINGS.fprs)


@pytest.mark.slow
def test_the_partner_is_no_shadow_model_of_the_attack(tmp_path: Path) -> None:
    """With the partner in, the OUT mean would differ by whether the unit is IN, and noise would separate."""
    summaries = []
    for seed in range(8):
        split = draw_split(4)
        signals = [plant_signals(split, name, 0.0, 1000 * seed + k) for k, name in enumerate(split.shadows)]
        members = split.table.set_index("id")[split.shadows][split.table.set_index("id")["part"] != ""]
        probed = [ProbedModel(of_model, None, str(number), tmp_path) for number, of_model in enumerate(signals)]
        fleet = TrainedShadowModels(ShadowModels(signals, members), probed)
        summaries.append(
            each_as_target([CalibratedLoss()], fleet, split, PARTS, SETTINGS, 0)["calibrated_loss", "utterance"]
        )
    assert np.mean([summary.auroc_mean for summary in summaries]) == pytest.approx(0.5, abs=0.03)


def test_a_planted_leak_is_detected_with_each_as_target_and_not_by_wrong_models(tmp_path: Path) -> None:
    split = draw_split(N_SHADOWS)
    target, fleet = probe_all(split, 2.0, tmp_path)
    attacks = [PretextLoss(), CalibratedLoss()]
    summaries = each_as_target(attacks, fleet, split, PARTS, SETTINGS, 0)
    alone, calibrated = summaries["pretext_loss", "utterance"], summaries["calibrated_loss", "utterance"]
    assert calibrated.auroc_mean > alone.auroc_mean > 0.6
    assert abs(calibrated.wrong_model_auroc_mean - 0.5) < 0.1
    fewer = by_number_of_shadow_models(attacks, target, fleet, split, PARTS, SETTINGS, 0)
    assert [point.n_shadows for point in fewer["calibrated_loss", "utterance"]] == [2, 4]
    assert ("pretext_loss", "utterance") not in fewer  # it needs no shadow models


def test_shadow_models_without_challenge_units_are_no_targets(tmp_path: Path) -> None:
    split = draw_from_pool(draw_split(0, n_auxiliary=150), 4, seed=0)
    target, fleet = probe_all(split, 2.0, tmp_path)
    assert each_as_target([PretextLoss()], fleet, split, PARTS, SETTINGS, 0) == {}
    result = by_number_of_shadow_models([CalibratedLoss()], target, fleet, split, PARTS, SETTINGS, 0)
    assert result["calibrated_loss", "utterance"][-1].auroc > 0.7
