"""What would make another audit of a model from elsewhere say more."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from lightning_mia.attacks import PretextLoss, Relearn
from lightning_mia.audit.suggestions import suggest_auxiliary, suggest_positive_control
from lightning_mia.audit.summary import summary
from lightning_mia.evaluation.results import Exposure
from lightning_mia.models import TERA
from lightning_mia.report import Suggestion
from lightning_mia.report.markdown import render_markdown
from lightning_mia.splits import predefined
from lightning_mia.training.train import Trained
from tests.planted_report import make_small_report

COMMAND = "lightning-mia attack -c configs/attack/checkpoint.yaml --model.checkpoint C --run_dir R"


def trained(**record: int) -> Trained:
    torch.manual_seed(0)
    return Trained(TERA(dim=16, n_heads=2, feedforward_dim=32), Path("C"), "0" * 64, dict(record))


def test_no_evidence_on_a_checkpoint_suggests_the_positive_control() -> None:
    (suggestion,) = suggest_positive_control(trained(), "no_evidence", ())
    assert suggestion.option == "--positive_control"
    assert "not known whether these attacks would find training data of this model" in suggestion.text


@pytest.mark.parametrize("status", ["leak", "not_assessable"])
def test_other_verdicts_need_no_positive_control(status: str) -> None:
    assert suggest_positive_control(trained(), status, ()) == ()  # type: ignore[arg-type]


def test_none_is_suggested_after_one_or_for_a_model_trained_here() -> None:
    assert suggest_positive_control(trained(), "no_evidence", (Exposure(0, 0.0, ()),)) == ()
    assert suggest_positive_control(trained(steps=10), "no_evidence", ()) == ()


def test_missing_auxiliary_recordings_name_what_they_would_add() -> None:
    members = ["1"] * 4 + ["0"] * 4
    table = pd.DataFrame({"id": list("abcdefgh"), "speaker": list("stuvwxyz"), "member": members})
    split = predefined(table, {name: name for name in table["id"]})
    (suggestion,) = suggest_auxiliary([PretextLoss(), Relearn()], split, 50)
    assert "50 or more auxiliary recordings" in suggestion.text
    assert "here none), stronger attacks could run: pretext_loss, relearn." in suggestion.text
    assert suggest_auxiliary([], split, 50) == ()


def test_the_console_shows_the_users_command_with_the_option_on_one_line() -> None:
    report = make_small_report()
    report = replace(report, provenance=replace(report.provenance, command=COMMAND))
    report = replace(report, suggestions=(Suggestion("No positive control was run.", "--positive_control"),))
    assert f"No positive control was run.\n  {COMMAND} --positive_control\n" in summary(report)
    assert "No positive control was run." in render_markdown(report)


def test_an_audit_from_python_has_no_command_to_show() -> None:
    report = make_small_report()
    report = replace(report, provenance=replace(report.provenance, command=""))
    report = replace(report, suggestions=(Suggestion("No positive control was run.", "--positive_control"),))
    assert summary(report).endswith("No positive control was run.\n")
