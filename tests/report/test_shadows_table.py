import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lightning_mia.report.files.results_json import to_results
from lightning_mia.utilities.files import write_json

TOOL = Path(__file__).parents[2] / "tools" / "shadows_table.py"


@pytest.fixture
def tool():
    specification = importlib.util.spec_from_file_location("shadows_table", TOOL)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def printed(tool, report, tmp_path, monkeypatch, capsys) -> list[str]:
    write_json(tmp_path / "report" / "results.json", to_results(report))
    monkeypatch.setattr(sys, "argv", ["shadows_table.py", str(tmp_path)])
    tool.main()
    return capsys.readouterr().out.splitlines()


def test_a_table_for_each_access_level_with_a_column_for_each_size(
    tool, planted_fleet_report, tmp_path, monkeypatch, capsys
):
    lines = printed(tool, planted_fleet_report, tmp_path, monkeypatch, capsys)
    assert lines[2] == "hubert, 200 + 200 units, 60.0 epochs, 16 shadow models from the challenge pool: `leak`"
    headings = [place for place, line in enumerate(lines) if line.startswith("| attack |")]
    sizes = "AUROC, 0 | AUROC, 2 | AUROC, 4 | AUROC, 8 | AUROC, 16"
    assert lines[headings[2]] == f"| attack | {sizes} | TPR at 1 % FPR | over targets | wrong model | queries |"
    assert [lines[place - 2].split("**")[1] for place in headings] == [
        "utterance level, black-box",
        "utterance level, open-weights",
        "utterance level, grey-box",
    ]
    cells = lines[headings[2] + 2].strip("| ").split(" | ")
    best = next(one for one in planted_fleet_report.attacks if one.name == "shadow_classifier")
    assert cells[:2] == ["`shadow_classifier`", "–"]
    assert [cell.split()[0] for cell in cells[2:6]] == [f"{one.auroc:.2f}" for one in best.with_fewer]
    assert cells[6:] == ["0.01 [0.01, 0.03] †", f"{best.in_turn.auroc_mean:.2f} ± 0.01", "0.50 ± 0.02", "24"]
    assert len({line.count("|") for line in lines[headings[2] :] if line.startswith("|")}) == 1


def test_a_run_without_a_fleet_and_figures_that_are_not_known(tool, planted_report, tmp_path, monkeypatch, capsys):
    attack = replace(planted_report.attacks[0], auroc_ci95=(None, None), tpr_at_fpr=(), smallest_detectable_auroc=None)
    lines = printed(
        tool, replace(planted_report, attacks=(attack, *planted_report.attacks[1:])), tmp_path, monkeypatch, capsys
    )
    assert f"| `utterance_similarity` | {attack.auroc:.2f} | – | – | – | – |" in lines
    assert "**utterance level, black-box** (found with 80 % power: an AUROC of 1.00)" in lines
