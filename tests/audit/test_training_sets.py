"""An audit with background, exposures and independent inclusion."""

import json
from pathlib import Path

import pandas as pd
import pytest

from lightning_mia.audit.cli import main
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Split

pytestmark = pytest.mark.slow

DESIGN = ["--data.design.n_units", "48", "--data.design.n_auxiliary", "12", "--data.design.background", "rest"]


@pytest.fixture(scope="module")
def run_dir(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "exposures"
    options = [*DESIGN, "--data.design.exposures", "[1, 4]", "--data.design.inclusion", "independent"]
    assert main(["audit", "-c", str(config), "--run_dir", str(folder), *options, "--fleet.size", "2"]) == 0
    return folder


def times(run_dir: Path, model: str) -> dict[str, int]:
    table = pd.read_csv(run_dir / model / "trained_utterances.csv", dtype={"id": str})
    return dict(zip(table["id"], table["times"].tolist(), strict=True))


def test_every_model_is_trained_on_its_set_as_often_as_drawn(run_dir: Path) -> None:
    split = Split.load(run_dir / "split.csv")
    assert len(split.background_ids()) == 12
    exposures = split.unit_exposures("utterance")
    for folder, model in {"target": "target", "shadows/000": "shadow_000", "shadows/001": "shadow_001"}.items():
        ids = split.training_ids(model)
        assert times(run_dir, folder) == {name: 3 * exposures.get(name, 1) for name in ids}  # in three epochs
    assert times(run_dir, "wrong_model") == dict.fromkeys(split.unevaluated_ids(), 3)
    steps = {
        json.loads((run_dir / name / "stage.json").read_text())["record"]["steps"]
        for name in ("target", "wrong_model", "shadows/000", "shadows/001")
    }
    assert len(steps) == 1


def test_no_model_is_queried_with_the_background(run_dir: Path) -> None:
    split = Split.load(run_dir / "split.csv")
    for path in (run_dir / "probes").glob("*.npz"):
        assert not set(Signals.load(path).scalars.index) & set(split.background_ids())
    scores = pd.read_csv(run_dir / "report" / "scores.csv", dtype=str)
    assert not set(scores["unit_id"]) & set(split.background_ids())


def test_the_report_has_a_curve_over_exposures(run_dir: Path) -> None:
    report = json.loads((run_dir / "report" / "results.json").read_text())
    assert report["split"]["exposures"] == [1, 4]
    assert report["split"]["n_background"] == 12
    assert report["split"]["inclusion"] == "independent"
    for attack in report["attacks"]:
        groups = attack["by_exposures"]
        assert [group["exposures"] for group in groups] == [1, 4]
        assert sum(group["n_members"] for group in groups) == attack["n_members"]
    trained = {model["name"]: model["trained_on"] for model in report["provenance"]["models"]}
    assert trained["target"] == "members and background"
    assert trained["wrong_model"] == "auxiliary recordings and background"
    assert 'id="exposures"' in (run_dir / "report" / "report.html").read_text()


def test_private_training_with_exposures_is_refused(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data.design.exposures", "[1, 4]", "--trainer.per_example.clip_norm", "1.0"]
    assert main(["fit", "-c", str(config), "--run_dir", str(tmp_path / "R"), *options]) == 2
    assert "leave out data.design.exposures" in capsys.readouterr().err
