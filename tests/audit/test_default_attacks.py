"""The default attacks with shadow models."""

import json
from pathlib import Path

import pytest

from lightning_mia.attacks import default_attacks
from lightning_mia.attacks.base import ACCESSES
from lightning_mia.attacks.runner.defaults import checkpoint_attacks
from lightning_mia.audit.cli import main
from lightning_mia.models import TERA
from lightning_mia.models.outputs import CTC_SCORE, PRETEXT_SCORE, TOKEN_SCORE
from lightning_mia.signals.relearning import Relearning

ON_TRANSCRIPTS = {f"{attack}_{score}" for attack in ("midpoint", "bavaria") for score in (CTC_SCORE, TOKEN_SCORE)}
NEEDS_MORE = {"ctc_loss", "token_loss", "quantile_regression", "quantile_regression_surrogate_head", "slmia"}
NEEDS_MORE |= ON_TRANSCRIPTS
TESTED_SLOW_ATTACKS = {
    "shadow_classifier_black_box",
    "encodermi_v",
    "user_statistics",
    "slmia",
}  # all have tests of their own


def test_names_are_unique_at_every_level() -> None:
    for level in ("utterance", "speaker"):
        names = [attack.name for attack in default_attacks(16, "all") if level in attack.levels]
        assert len(names) == len(set(names))


def test_without_shadow_models_no_default_attack_needs_them() -> None:
    assert {attack.min_shadows for attack in default_attacks(0)} == {0}


def test_every_attack_names_its_source_and_access() -> None:
    for attack in default_attacks(16, "all"):
        assert attack.reference
        assert attack.access in ACCESSES


def test_the_recommended_attacks_are_few_and_cover_every_access() -> None:
    recommended = [attack for attack in default_attacks(16) if attack.min_shadows]
    for task in (PRETEXT_SCORE, CTC_SCORE, TOKEN_SCORE):  # a model has one of them
        assert len([attack for attack in recommended if attack.needs_signal in ("", task)]) <= 8
    assert {attack.access for attack in recommended} == set(ACCESSES)
    assert {attack.name for attack in default_attacks(16)} <= {attack.name for attack in default_attacks(16, "all")}


@pytest.mark.parametrize("n_references", [0, 1])
def test_relearning_is_added_to_the_comparison_with_a_reference(n_references: int) -> None:
    model = TERA(dim=16, n_heads=2, feedforward_dim=32)
    names = [attack.name for attack in checkpoint_attacks(model, 40, n_references)]
    assert ("fusion_relearn_calibrated_loss" in names) == (n_references > 0)


@pytest.mark.parametrize(("large", "n_copies"), [(10**9, 2), (1, 1)])
def test_relearning_trains_one_copy_of_a_large_checkpoint(
    monkeypatch: pytest.MonkeyPatch, large: int, n_copies: int
) -> None:
    monkeypatch.setattr("lightning_mia.models.base.LARGE", large)
    attacks = checkpoint_attacks(TERA(dim=16, n_heads=2, feedforward_dim=32), n_auxiliary=40)
    (group,) = next(attack.groups for attack in attacks if attack.name == "relearn")
    assert isinstance(group, Relearning) and group.n_copies == n_copies


@pytest.mark.slow
def test_the_default_attacks_run(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Except those that need more auxiliary recordings or another model, and most of the slow ones."""
    attacks = [
        attack for attack in default_attacks(4, "all") if not attack.cache_scores or attack.name in TESTED_SLOW_ATTACKS
    ]
    monkeypatch.setattr("lightning_mia.audit.audit.default_attacks", lambda *_: attacks)
    monkeypatch.setattr("lightning_mia.audit.shadow_models.as_targets._sizes", lambda n_shadows: [])
    options = ["--attacks", "null", "--fleet.size", "4", "--fleet.take_turns", "false", "--trainer.max_epochs", "1"]
    options += ["--controls.untrained", "false", "--controls.wrong_model", "false"]
    options += ["--data.design.n_units", "24", "--data.design.n_auxiliary", "16"]
    assert main(["audit", "-c", str(config), "--run_dir", str(tmp_path), *options]) == 0
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    expected = {attack.name for attack in attacks if "utterance" in attack.levels}
    ran = {attack["name"] for attack in results["attacks"]}
    assert expected - NEEDS_MORE <= ran
    assert ran <= expected
    by_name = {attack["name"]: attack for attack in results["attacks"]}
    assert (by_name["lira"]["n_shadows"], by_name["lira"]["queries"]) == (4, 2)
    assert (by_name["pretext_loss"]["n_shadows"], by_name["surrogate_head"]["queries"]) == (0, 7)
    assert [point["n_shadows"] for point in by_name["lira"]["with_fewer"]][-1] == 4
    assert results["dataset_inference"]
