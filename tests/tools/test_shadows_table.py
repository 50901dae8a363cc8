"""Tables of audits with shadow models."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lightning_mia.report import AuditReport
from lightning_mia.report.files.results_json import to_results
from lightning_mia.utilities.files import write_json
from tests.planted_report import make_planted_fleet_report, make_planted_report
from tools import shadows_table

Print = Callable[[AuditReport], list[str]]


@pytest.fixture(scope="module")
def report() -> AuditReport:
    return make_planted_report()


@pytest.fixture
def print_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Print:
    """Run the tool on a report, return printed lines."""

    def run(report: AuditReport) -> list[str]:
        write_json(tmp_path / "report" / "results.json", to_results(report))
        monkeypatch.setattr(sys, "argv", ["shadows_table.py", str(tmp_path)])
        shadows_table.main()
        return capsys.readouterr().out.splitlines()

    return run


def test_one_table_per_access_with_one_column_per_size(report: AuditReport, print_lines: Print) -> None:
    report = make_planted_fleet_report(report)
    lines = print_lines(report)
    assert lines[2] == "hubert, 200 + 200 units, 60.0 epochs, 16 shadow models from the challenge pool: `leak`"
    headings = [index for index, line in enumerate(lines) if line.startswith("| attack |")]
    sizes = "AUROC, 0 | AUROC, 2 | AUROC, 4 | AUROC, 8 | AUROC, 16"
    assert lines[headings[2]] == f"| attack | {sizes} | TPR at 1 % FPR | over targets | wrong model | queries |"
    assert [lines[index - 2].split("**")[1] for index in headings] == [
        "utterance level, black-box",
        "utterance level, open-weights",
        "utterance level, grey-box",
    ]
    cells = lines[headings[2] + 2].strip("| ").split(" | ")
    best = next(result for result in report.attacks if result.name == "shadow_classifier")
    assert cells[:2] == ["`shadow_classifier`", "–"]
    assert [cell.split()[0] for cell in cells[2:6]] == [f"{fewer.auroc:.2f}" for fewer in best.with_fewer]
    assert cells[6:] == ["0.01 [0.01, 0.03] †", f"{best.in_turn.auroc_mean:.2f} ± 0.01", "0.50 ± 0.02", "24"]
    assert len({line.count("|") for line in lines[headings[2] :] if line.startswith("|")}) == 1


def test_run_without_shadow_models_and_with_unknown_figures(report: AuditReport, print_lines: Print) -> None:
    attack = replace(report.attacks[0], auroc_ci95=(None, None), tpr_at_fpr=(), smallest_detectable_auroc=None)
    lines = print_lines(replace(report, attacks=(attack, *report.attacks[1:])))
    assert f"| `utterance_similarity` | {attack.auroc:.2f} | – | – | – | – |" in lines
    assert "**utterance level, black-box** (detectable with 80 % power: AUROC 1.00)" in lines
