"""Utility on the command line: results, report and the row of a grid."""

import json
from pathlib import Path

import jsonschema
import pandas as pd
import pytest

from lightning_mia.audit.ablation.collect import collect_rows
from lightning_mia.audit.ablation.grid import Cell, Setting
from lightning_mia.audit.cli import main
from lightning_mia.report.ablation.labels import COST_COLUMNS
from lightning_mia.report.files.json_schema import SCHEMA_PATH
from lightning_mia.signals.table import Signals


@pytest.fixture(scope="module")
def run_dir(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("utility") / "run"
    private = ["--trainer.per_example.clip_norm", "1", "--trainer.per_example.noise_multiplier", "2"]
    options = ["--utility.probe", "speaker", "--utility.mask_probability", "0.3", "--controls.wrong_model", "false"]
    short = ["--trainer.max_epochs", "1", "--probe.n_masks", "1", "--evaluation.n_redraws", "1000"]
    assert main(["audit", "-c", str(config), "--run_dir", str(folder), *private, *options, *short]) == 0
    return folder


@pytest.mark.slow
def test_results_have_utility_and_both_bounds(run_dir: Path) -> None:
    results = json.loads((run_dir / "report" / "results.json").read_text())
    jsonschema.validate(results, json.loads(SCHEMA_PATH.read_text()))
    utility, privacy = results["utility"], results["privacy"]
    assert (utility["probe"], utility["n_classes"], utility["mask_probability"]) == ("speaker", 6, 0.3)
    assert utility["n_recordings"] == 72 - 24  # all but the members
    assert 0 <= utility["target"]["accuracy_ci95"][0] <= utility["target"]["accuracy"]
    assert utility["untrained"] is not None and utility["pretext"] != utility["pretext_untrained"]
    assert privacy["epsilon"] == pytest.approx(2.0, abs=0.1)  # one epoch at a noise multiplier of 2
    assert privacy["epsilon_shown"] >= 0
    for name in ("report.html", "report.md"):
        text = (run_dir / "report" / name).read_text()
        assert "Utility" in text and "linear probe for the speaker" in text and "none of them a member" in text


@pytest.mark.slow
def test_members_are_not_probed(run_dir: Path) -> None:
    split = pd.read_csv(run_dir / "split.csv")
    members = set(split["id"][split["role"] == "member"])
    files = sorted((run_dir / "probes").glob("*-utility-*.npz"))
    assert [path.name.split("-")[0] for path in files] == ["target", "untrained"]
    for path in files:
        probed = set(Signals.load(path).scalars.index)
        assert len(probed) == 48 and not probed & members


@pytest.mark.slow
def test_the_row_of_a_grid_has_the_costs(run_dir: Path) -> None:
    row = next(collect_rows(Cell({"defence": Setting("dp", {})}, 0), run_dir, run_dir.parent))
    results = json.loads((run_dir / "report" / "results.json").read_text())
    assert row["utility_probe"] == results["utility"]["target"]["accuracy"]
    assert row["utility_untrained"] == results["utility"]["untrained"]["accuracy"]
    assert row["utility_pretext"] == results["utility"]["pretext"]
    assert row["epsilon"] == results["privacy"]["epsilon"]
    assert row["utility_probe_lo"] <= row["utility_probe"] <= row["utility_probe_hi"]
    assert set(COST_COLUMNS) <= set(row)


def test_a_corpus_without_keywords_is_refused_before_the_training(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "-c", str(config), "--run_dir", str(tmp_path), "--utility.probe", "keyword"]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "utility.probe keyword needs two keywords with at least 5 recordings by 5 speakers" in message
    assert not (tmp_path / "target").exists()
