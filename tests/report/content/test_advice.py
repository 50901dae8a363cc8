from dataclasses import replace
from pathlib import Path

import pytest

from lightning_mia.evaluation.results import Verdict
from lightning_mia.evaluation.utility import ProbeAccuracy, Utility
from lightning_mia.report.content.advice import DEFENCES, advice

ROOT = Path(__file__).parents[3]
ROWS = {
    "fewer epochs (half)": "fewer_epochs",
    "dropout": "dropout",
    "SpecAugment": "spec_augment",
    "weight decay": "weight_decay",
    "DP-SGD, ε ≤ 33": "dp_sgd_2",
}


def headings(report) -> list[str]:
    return [heading for heading, _ in advice(report)]


@pytest.mark.parametrize(("name", "leak", "cost", "relearned"), DEFENCES)
def test_the_costs_of_defences_are_those_of_the_documentation(name, leak, cost, relearned):
    tables = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").split("## Defences")[1]
    rows = [line.split("|") for line in tables.splitlines() if line.startswith(f"| `{ROWS[name]}` |")]
    costs, with_relearning = [[cell.strip() for cell in row] for row in rows]
    assert (costs[3].split(" ")[0], costs[5].split(" ")[0]) == (leak, cost)
    assert with_relearning[3] == relearned


def test_a_leak_is_answered_with_less_training_and_defences(planted_report):
    texts = dict(advice(planted_report))
    assert list(texts)[:3] == ["Train less", "Compare defences", "Weigh the cost"]
    assert texts["Train less"].startswith("The target was trained for 60 epochs.")
    assert "not on this model" in texts["Compare defences"]
    assert "did not measure" in texts["Weigh the cost"]
    assert texts["Limit access"].startswith("The attacks with black-box access found nothing")
    assert texts["Other access"].startswith("Not tested: open-weights, white-box.")


def test_the_cost_that_a_run_measured_is_quoted(planted_report):
    utility = Utility("speaker", 400, 20, 20, 0.05, ProbeAccuracy(0.83, (0.78, 0.87), (2,)), None, None, None, None)
    texts = dict(advice(replace(planted_report, utility=utility)))
    assert "accuracy 0.83 of a linear probe for the speaker (chance 0.05)" in texts["Weigh the cost"]


def test_what_was_tested_is_not_proposed(planted_report, planted_fleet_report):
    assert "Other question" not in headings(planted_report), "both levels were tested"
    assert "Stronger attacks" in headings(planted_report)
    assert "Other question" in headings(planted_fleet_report)
    assert "Stronger attacks" not in headings(planted_fleet_report), "it had 16 shadow models"


def test_silence_asks_for_a_positive_control_and_more_recordings(planted_report):
    silent = replace(planted_report, verdict=Verdict("no_evidence", "nothing", ()))
    assert "Positive control" in headings(silent)
    assert "Train less" not in headings(silent)
    assert dict(advice(silent))["More recordings"] == (
        "A false positive rate of 1 % is resolved from 1\u2009000 non-members on (--data.design.n_units 2000)."
    )


def test_what_bars_a_verdict_comes_first(planted_report, planted_blind_report):
    barred = replace(planted_report, verdict=Verdict("not_assessable", "no", ()))
    assert advice(barred)[0] == (
        "First",
        "Draw the split from more recordings or speakers, or with another seed, and run again.",
    )
    assert advice(planted_blind_report) == (
        ("First", "Draw the split at random from one pool, or match members and non-members, and run again."),
    )
    passed = replace(planted_blind_report, verdict=Verdict("no_evidence", "alike", ()))
    assert headings(passed) == ["Next"]


def test_signals_alone_are_advised_without_options_of_an_audit(planted_report):
    signals = replace(planted_report, target=None)
    assert headings(signals) == ["Train less", "Compare defences", "Stronger attacks"]
    user = replace(signals, split=replace(signals.split, drawn=False), verdict=Verdict("not_assessable", "no", ()))
    assert headings(user) == ["First", "Stronger attacks"]


def test_every_config_that_is_named_is_shipped(planted_report, planted_fleet_report):
    for report in (planted_report, planted_fleet_report):
        for _, text in advice(report):
            for word in text.replace(",", " ").split():
                if word.rstrip(".:").endswith(".yaml"):
                    assert (ROOT / "configs" / word.rstrip(".:")).is_file()
