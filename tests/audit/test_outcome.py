"""Results of all attacks of an audit, on planted signals."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks import PretextLoss
from lightning_mia.attacks.base import ShadowModels
from lightning_mia.attacks.calibrated_loss import CalibratedLoss
from lightning_mia.audit.blind_baselines import blind_baselines
from lightning_mia.audit.outcome import (
    AuditOutcome,
    epsilon_bounds,
    evaluate_attacks,
    evaluate_split,
    privacy_bounds,
)
from lightning_mia.audit.probed_model import ProbedModel
from lightning_mia.audit.shadow_models.trained import TrainedShadowModels
from lightning_mia.evaluation import EvaluationSettings
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Split, UtteranceDesign
from lightning_mia.training.train import Trained
from lightning_mia.utilities.errors import InputError

N_SHADOWS = 4
SETTINGS = EvaluationSettings(n_bootstraps=100)


class PaperProtocolLoss(PretextLoss):
    """A loss attack that counts as a control, as if fitted on evaluated non-members."""

    name = "loss_paper_protocol"
    paper_protocol = True


@pytest.fixture(scope="module")
def split() -> Split:
    ids = [f"s{number % 20:02d}/{number // 20}" for number in range(140)]
    table = pd.DataFrame({"id": ids, "speaker": [name.split("/")[0] for name in ids]})
    return UtteranceDesign(120, 20).draw(table, {name: name for name in ids}, n_shadows=N_SHADOWS)


@pytest.fixture(scope="module")
def statistics(split: Split) -> pd.DataFrame:
    noise = np.random.default_rng(5).normal(size=(len(split.table), 3))
    return pd.DataFrame(noise, index=list(split.table["id"]))


def probe(split: Split, column: str | None, seed: int, folder: Path) -> ProbedModel:
    """Plant the signals of a model that is 1.5 standard deviations surer of its members."""
    inside = 0.0 if column is None else split.table[column].to_numpy(dtype=float)
    scores = np.random.default_rng(seed).normal(size=len(split.table)) + 1.5 * inside
    scalars = pd.DataFrame({"pretext_score": scores}, index=list(split.table["id"]))
    return ProbedModel(Signals(scalars, np.zeros((len(scalars), 1, 2))), None, str(seed), folder)


@pytest.fixture(scope="module")
def outcome(split: Split, statistics: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> AuditOutcome:
    folder = tmp_path_factory.mktemp("probes")
    models = {"target": probe(split, "target", 100, folder), "wrong_model": probe(split, None, 101, folder)}
    probed = [probe(split, column, seed, folder) for seed, column in enumerate(split.shadows)]
    members = split.table.set_index("id")[split.shadows][split.table.set_index("id")["part"] != ""]
    shadow_models = TrainedShadowModels(ShadowModels([model.signals for model in probed], members), probed)
    attacks = [PretextLoss(), PaperProtocolLoss(), CalibratedLoss()]
    return evaluate_attacks(
        attacks, models, blind_baselines({"acoustics": statistics}, split, SETTINGS), split, SETTINGS, shadow_models
    )


@pytest.mark.slow
def test_attacks_and_controls_have_results_and_scores_of_the_same_names(outcome: AuditOutcome) -> None:
    assert [result.name for result in outcome.attacks] == ["pretext_loss", "calibrated_loss"]
    wrong_model = ["wrong_model_pretext_loss", "wrong_model_loss_paper_protocol", "wrong_model_calibrated_loss"]
    assert [result.name for result in outcome.controls] == [
        "blind",
        "blind_within",
        "loss_paper_protocol",
        *wrong_model,
    ]
    results = (*outcome.attacks, *outcome.controls)
    assert {result.name for result in results} == {scores.name for scores in outcome.scores}
    assert all(result.access == "none" for result in outcome.controls)


def test_results_are_complete(outcome: AuditOutcome) -> None:
    loss, calibrated = outcome.attacks
    assert (loss.n_shadows, loss.with_fewer, loss.queries) == (0, (), 1)
    assert calibrated.n_shadows == N_SHADOWS
    assert [point.n_shadows for point in calibrated.with_fewer] == [2, N_SHADOWS]
    assert calibrated.with_fewer[-1].auroc == calibrated.auroc
    for attack in outcome.attacks:
        assert attack.in_turn is not None and attack.in_turn.n_targets == N_SHADOWS
        assert attack.versus_wrong_model is not None
        assert attack.auroc_blind_adjusted is not None
        assert attack.p_value_corrected is not None


def test_attacks_after_their_papers_protocol_have_no_costs(outcome: AuditOutcome) -> None:
    control = outcome.controls[2]
    assert control.versus_wrong_model is None
    assert (control.n_shadows, control.queries, control.in_turn, control.with_fewer) == (0, None, None, ())


def test_a_planted_leak_is_the_verdict(outcome: AuditOutcome) -> None:
    assert outcome.verdict.status == "leak"
    assert outcome.verdict.by_level_and_access[0].attack in {attack.name for attack in outcome.attacks}
    assert outcome.blind_upper95["utterance"] > 0.5


def test_dataset_inference_uses_the_best_attack_on_shadow_models(outcome: AuditOutcome) -> None:
    best = max(outcome.attacks, key=lambda attack: attack.in_turn.auroc_mean if attack.in_turn else 0.0)
    assert [inference.attack for inference in outcome.dataset_inference] == [best.name]


def test_a_split_alone_has_only_blind_baselines(split: Split, statistics: pd.DataFrame) -> None:
    outcome = evaluate_split(blind_baselines({"acoustics": statistics}, split, SETTINGS), split)
    assert (outcome.attacks, outcome.dataset_inference) == ((), ())
    names = [result.name for result in outcome.controls]
    assert names == [scores.name for scores in outcome.scores] == ["blind", "blind_within"]
    assert outcome.verdict.by_level_and_access[0].access == "none"


def test_without_any_attack_that_can_run_there_is_an_error(
    split: Split, statistics: pd.DataFrame, tmp_path: Path
) -> None:
    models = {"target": probe(split, "target", 100, tmp_path)}
    blind = blind_baselines({"acoustics": statistics}, split, SETTINGS)
    with pytest.raises(InputError, match=r"No attack can give a verdict: .*calibrated_loss.*--fleet\.size"):
        evaluate_attacks([CalibratedLoss()], models, blind, split, SETTINGS)


def test_a_balanced_split_has_approximate_bounds_on_epsilon(outcome: AuditOutcome, split: Split) -> None:
    bounds = epsilon_bounds(trained({}), outcome, split, 1e-4)
    assert [bound.attack for bound in bounds] == ["pretext_loss", "calibrated_loss"]
    assert {(bound.method, bound.delta, bound.n_units) for bound in bounds} == {("rates", 1e-4, 120)}
    assert privacy_bounds(trained({}), outcome, split, 1e-4).method == "rates"


def test_coins_give_the_one_run_bound_at_the_proven_delta(outcome: AuditOutcome, split: Split) -> None:
    target = trained({"delta": 1e-6, "epsilon": 8.0, "clip_norm": 1.0, "noise_multiplier": 1.0})
    coins = replace(split, inclusion="independent")
    bounds = epsilon_bounds(target, outcome, coins, 1e-4)
    assert {(bound.method, bound.delta) for bound in bounds} == {("one_run", 1e-6)}
    largest = max(bound.epsilon_corrected for bound in bounds)
    assert 0 < largest < 4
    privacy = privacy_bounds(target, outcome, coins, 1e-4)
    assert (privacy.method, privacy.epsilon, privacy.epsilon_shown) == ("one_run", 8.0, largest)


def test_a_user_supplied_split_and_another_unit_have_no_bound_of_their_own(outcome: AuditOutcome, split: Split) -> None:
    assert epsilon_bounds(trained({}), outcome, replace(split, drawn=False), 1e-5) == ()
    assert epsilon_bounds(trained({}), outcome, replace(split, level="speaker"), 1e-5) == ()


def trained(privacy: dict[str, float]) -> Trained:
    """A target of which only the record of its training is read."""
    return cast(Trained, SimpleNamespace(record={"privacy": privacy or None}))
