"""The positive control trains on the drawn half and detects it."""

import json
from pathlib import Path

import pandas as pd
import pytest

from lightning_mia.audit.cli import main
from lightning_mia.audit.positive_control import positive_control_note
from lightning_mia.evaluation.results import AttackResult, Exposure

CONTROLS = ["--controls.untrained", "false", "--controls.wrong_model", "false"]


@pytest.fixture(scope="module")
def run_dir(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("positive") / "run"
    arguments = ["audit", "-c", str(config), "--run_dir", str(folder), "--trainer.max_epochs", "1", *CONTROLS]
    exposure = ["--positive_control", "--exposure.exposures", "[4, 1]", "--exposure.n_units", "24"]
    assert main([*arguments, *exposure, "--model.learning_rate", "1e-2"]) == 0
    return folder


@pytest.mark.slow
def test_only_recordings_unseen_by_the_target_are_used(run_dir: Path) -> None:
    roles = pd.read_csv(run_dir / "split.csv", dtype=str).set_index("id")["role"]
    inner = pd.read_csv(run_dir / "positive_control" / "split.csv", dtype=str)
    assert set(roles[inner["id"]]) == {"nonmember", "auxiliary"}
    assert inner["role"].value_counts().to_dict() == {"member": 12, "nonmember": 12}


@pytest.mark.slow
def test_each_exposure_trains_on_the_random_half_that_often(run_dir: Path) -> None:
    inner = pd.read_csv(run_dir / "positive_control" / "split.csv", dtype=str)
    for times in (1, 4):
        folder = run_dir / "positive_control" / f"exposure_{times:03d}"
        exposure = pd.read_csv(folder / "trained_utterances.csv", dtype={"id": str})
        assert set(exposure["id"]) == set(inner["id"][inner["role"] == "member"])
        assert (exposure["times"] == times).all()


@pytest.mark.slow
def test_the_training_starts_from_the_target(run_dir: Path) -> None:
    record = json.loads((run_dir / "positive_control" / "exposure_004" / "stage.json").read_text())
    target = json.loads((run_dir / "target" / "stage.json").read_text())
    assert record["settings"]["start"] == target["record"]["weights_sha256"]
    assert record["record"]["health"]["loss"][0] < 0.9 * target["record"]["health"]["loss"][0]


@pytest.mark.slow
def test_the_report_shows_every_exposure(run_dir: Path) -> None:
    results = json.loads((run_dir / "report" / "results.json").read_text())
    assert [exposure["times"] for exposure in results["exposures"]] == [0, 1, 4]
    assert {result["name"] for result in results["exposures"][-1]["results"]} == {
        "utterance_similarity",
        "pretext_loss",
    }
    page = (run_dir / "report" / "report.html").read_text()
    assert "Positive control" in page
    assert any(note.startswith("Positive control") for note in results["notes"])


@pytest.mark.slow
def test_a_model_without_a_task_or_without_attacks_is_refused_in_one_line(
    run_dir: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--run_dir", str(run_dir), "--trainer.max_epochs", "1", *CONTROLS, "--positive_control"]
    arguments += ["--exposure.exposures", "[1, 4]", "--exposure.n_units", "24", "--model.learning_rate", "1e-2"]
    attacks = ["--attacks", "[LiRA, PretextLoss]", "--fleet.size", "0"]
    monkeypatch.setattr("lightning_mia.attacks.PretextLoss.levels", ())
    # an audit without any attack is refused even earlier
    monkeypatch.setattr("lightning_mia.audit.audit_trainer.check_some_can_run", lambda *_: None)
    assert main(["attack", "-c", str(config), *arguments, *attacks]) == 2
    assert "The positive control needs an attack without shadow models" in capsys.readouterr().err
    monkeypatch.setattr("lightning_mia.models.base.SpeechModel.can_pretrain", False)
    assert main(["attack", "-c", str(config), *arguments]) == 2
    assert "this model is a bare encoder without a pretext task" in capsys.readouterr().err


@pytest.mark.slow
def test_a_second_run_repeats_nothing(run_dir: Path, config: Path) -> None:
    kept = [*run_dir.glob("positive_control/**/model.ckpt"), *run_dir.glob("positive_control/probes/*.npz")]
    assert len(kept) == 5
    before = {path: path.stat().st_mtime_ns for path in kept}
    arguments = ["attack", "-c", str(config), "--run_dir", str(run_dir), "--trainer.max_epochs", "1", *CONTROLS]
    exposure = ["--positive_control", "--exposure.exposures", "[1, 4]", "--exposure.n_units", "24"]
    assert main([*arguments, *exposure, "--model.learning_rate", "1e-2"]) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == before


def result(auroc: float, p: float) -> AttackResult:
    return AttackResult(
        "pretext_loss", "utterance", "grey-box", 50, 50, 10, auroc, (0.4, 0.9), p, p, False, 0.1, 0.1, ()
    )


def exposures(*p_values: float) -> tuple[Exposure, ...]:
    times = (0, 1, 3, 10)
    return tuple(Exposure(n, 1.0, (result(0.6, p),)) for n, p in zip(times, p_values, strict=False))


def test_the_note_names_the_exposure_from_which_the_attack_succeeds() -> None:
    assert "pretext_loss at utterance level from 3 epochs on" in positive_control_note(exposures(0.5, 0.2, 0.01, 0.001))
    assert "from 10 epochs on" in positive_control_note(exposures(0.5, 0.01, 0.3, 0.001))


def test_the_note_names_attacks_that_detect_nothing() -> None:
    note = positive_control_note(exposures(0.5, 0.01, 0.3, 0.3))
    assert "training data is detected by no attack" in note
    assert "not detected even after 10 epochs by pretext_loss at utterance level" in note
