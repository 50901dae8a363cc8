"""Advice on models trained elsewhere."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from lightning_mia.attacks import PretextLoss, Relearn
from lightning_mia.audit.advice import auxiliary_advice, positive_control_advice
from lightning_mia.audit.summary import summary
from lightning_mia.evaluation.results import Exposure
from lightning_mia.models import TERA
from lightning_mia.report import Advice
from lightning_mia.report.html import render_page
from lightning_mia.report.markdown import render_markdown
from lightning_mia.splits import predefined
from lightning_mia.training.train import Trained
from tests.planted_report import make_small_report

COMMAND = "lightning-mia attack -c configs/attack/checkpoint.yaml --model.checkpoint C --run_dir R"


def trained(**record: int) -> Trained:
    torch.manual_seed(0)
    return Trained(TERA(dim=16, n_heads=2, feedforward_dim=32), Path("C"), "0" * 64, dict(record))


def test_no_evidence_on_a_checkpoint_advises_the_users_command_with_the_positive_control() -> None:
    (advice,) = positive_control_advice(trained(), "no_evidence", (), COMMAND)
    assert advice.command == f"{COMMAND} --positive_control"
    assert "not known whether these attacks would find training data of this model" in advice.text


@pytest.mark.parametrize("status", ["leak", "not_assessable"])
def test_other_verdicts_need_no_positive_control(status: str) -> None:
    assert positive_control_advice(trained(), status, (), COMMAND) == ()  # type: ignore[arg-type]


def test_none_is_advised_after_one_or_for_a_model_trained_here() -> None:
    assert positive_control_advice(trained(), "no_evidence", (Exposure(0, 0.0, ()),), COMMAND) == ()
    assert positive_control_advice(trained(steps=10), "no_evidence", (), COMMAND) == ()


def test_from_python_the_option_is_named_instead_of_a_command() -> None:
    (advice,) = positive_control_advice(trained(), "no_evidence", (), "")
    assert advice.command == "" and "AuditOptions(positive_control=True)" in advice.text


def test_missing_auxiliary_recordings_name_what_they_would_add() -> None:
    members = ["1"] * 4 + ["0"] * 4
    table = pd.DataFrame({"id": list("abcdefgh"), "speaker": list("stuvwxyz"), "member": members})
    split = predefined(table, {name: name for name in table["id"]})
    (advice,) = auxiliary_advice([PretextLoss(), Relearn()], split, 50)
    assert "50 or more auxiliary recordings" in advice.text and "pretext_loss, relearn could run too" in advice.text
    assert auxiliary_advice([], split, 50) == ()


def test_console_and_report_show_advice_with_its_command() -> None:
    report = replace(make_small_report(), advice=(Advice("No positive control was run.", COMMAND),))
    for text in (summary(report), render_markdown(report), render_page(report, [], [])):
        assert "No positive control was run." in text and COMMAND in text
    assert f"  {COMMAND}\n" in summary(report)  # on one line, to be copied
