"""Page, Markdown and files of an audit whose members differ in exposures."""

from dataclasses import replace
from pathlib import Path

import pytest

from lightning_mia.evaluation.results import ExposureGroup, TprAtFpr
from lightning_mia.report import AuditReport
from lightning_mia.report.figures.drawn_groups import draw_attacks, draw_controls
from lightning_mia.report.files.results_json import read_results
from lightning_mia.report.html import render_page
from lightning_mia.report.markdown import render_markdown
from lightning_mia.report.write import write_report


def group(exposures: int, auroc: float) -> ExposureGroup:
    rate = TprAtFpr(0.01, 0.01, (0.0, 0.04), auroc / 2, (0.1, 0.6), resolvable=True)
    return ExposureGroup(exposures, 40, auroc, (auroc - 0.05, auroc + 0.05), (rate,))


@pytest.fixture
def exposed(small_report: AuditReport) -> AuditReport:
    first, *others = small_report.attacks
    first = replace(first, by_exposures=(group(1, 0.61), group(4, 0.72), group(16, 0.88)))
    split = replace(small_report.split, exposures=(1, 4, 16), n_background=300, inclusion="independent")
    return replace(small_report, attacks=(first, *others), split=split)


def test_the_page_has_a_figure_and_a_table(exposed: AuditReport) -> None:
    attacks = draw_attacks(exposed)
    drawings = [drawing for drawn in attacks for drawing in drawn.by_exposures]
    assert [drawing.caption for drawing in drawings] == ["AUROC", "TPR at FPR 1 %"]
    assert f"{exposed.attacks[0].name} 0.61 at 1, 0.72 at 4, 0.88 at 16" in drawings[0].label
    page = render_page(exposed, attacks, draw_controls(exposed))
    assert page.count('id="exposures"') == page.count('href="#exposures"') == 1
    assert "<b>0.720</b>" in page


def test_the_protocol_says_how_members_were_drawn(exposed: AuditReport) -> None:
    text = render_markdown(exposed)
    assert "Members are in an epoch 1, 4 or 16 times" in text
    assert "300 background recordings are in the training set of every model" in text
    assert "A fair coin decided for each recording." in text
    assert "| 16 | 0.880 |" in text


@pytest.mark.slow
def test_other_audits_have_no_such_section(small_report: AuditReport) -> None:
    assert 'id="exposures"' not in render_page(small_report, draw_attacks(small_report), draw_controls(small_report))
    assert "times in an epoch" not in render_markdown(small_report)


@pytest.mark.slow
def test_groups_are_saved_and_read(exposed: AuditReport, tmp_path: Path) -> None:
    write_report(tmp_path, exposed)
    read = read_results(tmp_path / "results.json", tmp_path / "scores.csv")
    assert read.attacks[0].by_exposures == exposed.attacks[0].by_exposures
    assert read.split == exposed.split
