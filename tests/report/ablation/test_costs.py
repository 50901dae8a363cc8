"""Utility and privacy of each defence."""

from pathlib import Path

import pandas as pd
import pytest

from lightning_mia.report.ablation.costs import cost_table
from lightning_mia.report.ablation.drawings import draw_grid
from tests.report.ablation.test_grid_page import page_of

LABELS = {"defence": ["none", "dropout", "dp"]}


def test_changes_are_paired_by_seed(defences: pd.DataFrame) -> None:
    costs = cost_table(defences.sample(frac=1, random_state=0), LABELS)
    assert costs is not None
    assert costs.attacks == (("pretext_loss", "utterance"), ("surrogate", "utterance"))
    assert [row.label for row in costs.rows] == LABELS["defence"]
    none, dropout, dp = costs.rows
    loss, probe = dropout.leaks[0], dropout.probe
    assert loss is not None and loss.change is not None and probe is not None and probe.change is not None
    assert (loss.value.mean, loss.change.mean) == pytest.approx((0.71, -0.2))
    assert loss.change.ci95 == pytest.approx((-0.2, -0.2))  # the seeds differ, the differences do not
    assert probe.value.ci95 is not None and probe.value.ci95[1] - probe.value.ci95[0] > 0.2
    assert probe.change.ci95 == pytest.approx((-0.05, -0.05))
    assert all(figure is not None and figure.change is None for figure in (*none.leaks, none.probe, none.pretext))
    assert (none.epsilon, dp.epsilon) == (None, 8.0)
    assert dp.epsilon_shown == pytest.approx(0.3)
    assert costs.untrained is not None and costs.untrained.mean == pytest.approx(0.3)


def test_untrained_models_give_the_effect_of_the_draws(defences: pd.DataFrame) -> None:
    loss = defences[defences["attack"] == "pretext_loss"]
    control = loss.assign(attack="untrained_pretext_loss", role="control", access="none", auroc=loss["auroc"] - 0.1)
    costs = cost_table(pd.concat([defences, control]), LABELS)
    assert costs is not None
    assert costs.untrained_leaks == {"pretext_loss": pytest.approx(loss["auroc"].mean() - 0.1)}


def test_without_the_first_value_there_are_no_changes(defences: pd.DataFrame) -> None:
    costs = cost_table(defences[defences["defence"] != "none"], LABELS)
    assert costs is not None and costs.first == "none"
    assert [row.label for row in costs.rows] == ["dropout", "dp"]
    assert all(row.probe is not None and row.probe.change is None for row in costs.rows)


def test_without_utility_there_is_no_table(defences: pd.DataFrame, table: pd.DataFrame) -> None:
    unmeasured = dict.fromkeys(("utility_probe", "utility_pretext"), float("nan"))
    assert cost_table(defences.assign(**unmeasured), LABELS) is None
    assert cost_table(table, {"size": [25, 50], "epochs": [1, 2, 4]}) is None


def test_the_page_shows_the_table(defences: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_mia.report.ablation.grid_page.draw_grid", lambda *_: [])
    options = {"defence": ["model.dropout"]}
    text = " ".join(page_of(defences, tmp_path, factors=LABELS, options=options).split())
    assert "Utility and privacy" in text
    assert "difference from none, paired by seed" in text and "its accuracy on untrained models is 0.300" in text
    assert '0.710 <small>0.685 to 0.735</small></span><span class="change">−0.200 <small>' in text
    assert text.count('<span class="change">change</span>') == 2  # not of the first
    assert '<td data-label="ε ≤">8.0</td><td data-label="ε ≥">0.3</td>' in text


def test_the_probe_is_drawn_against_the_leak(defences: pd.DataFrame) -> None:
    labels = [drawing.label for drawing in draw_grid(defences, LABELS) if drawing.tag == "trade_off_utterance"]
    assert labels and "none 0.700 and 0.910; dropout 0.650 and 0.710" in labels[0]
