"""Reference models: checkpoints that were trained on no recording of the challenge set."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lightning_mia.audit.cli import main

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).parents[2] / "configs" / "attack" / "checkpoint.yaml"
QUIET = ["--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.enable_progress_bar", "false"]
CHEAP = ["--controls.untrained", "false", "--probe.n_masks", "2"]
COMPARED = [
    "PretextLoss",
    "CalibratedLoss",
    {"class_path": "RMIA", "init_args": {"online": False}},
    {"class_path": "LiRA", "init_args": {"online": False}},
    {"class_path": "BaVarIA", "init_args": {"online": False}},
]


@pytest.fixture(scope="module")
def pretraining(save_checkpoint: Callable[..., Path]) -> list[Path]:
    """Three checkpoints with the heads of pretraining; the last one has another size."""
    name = "Wav2Vec2ForPreTraining"
    return [save_checkpoint(name, 7), save_checkpoint(name, 8), save_checkpoint(name, 9, hidden_size=24)]


@pytest.fixture(scope="module")
def manifest(speakers_manifest: Path) -> Path:
    """Every second recording of 12 speakers is a member; the others are auxiliary."""
    table = pd.read_csv(speakers_manifest, dtype=str)
    number = table["speaker"].str[1:].astype(int)
    table["member"] = np.where(number < 12, np.where(np.arange(len(table)) % 2, "1", "0"), "")
    path = speakers_manifest.parent / "references.csv"
    table.to_csv(path, index=False)
    return path


def arguments(target: Path, references: list[Path], manifest: Path, run_dir: Path) -> list[str]:
    options = ["attack", "-c", str(CONFIG), "--model.checkpoint", str(target), "--data.corpus.path", str(manifest)]
    return [*options, "--fleet.references", *map(str, references), "--run_dir", str(run_dir), *QUIET, *CHEAP]


def attack(target: Path, references: list[Path], manifest: Path, run_dir: Path, *options: str) -> dict:
    assert main([*arguments(target, references, manifest, run_dir), *options]) == 0
    return json.loads((run_dir / "report" / "results.json").read_text())


def error(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def two(pretraining: list[Path], manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("two")
    attack(pretraining[0], pretraining[1:], manifest, run_dir, "--attacks", json.dumps(COMPARED))
    return run_dir


def test_offline_attacks_compare_the_target_with_the_references(two: Path) -> None:
    results = json.loads((two / "report" / "results.json").read_text())
    compared = {a["name"]: a for a in results["attacks"] if a["n_references"]}
    assert set(compared) == {"calibrated_loss", "rmia_offline", "lira_offline", "bavaria_offline"}
    assert {a["n_references"] for a in compared.values()} == {2}
    assert {a["n_shadows"] for a in results["attacks"]} == {0}
    assert results["fleet"]["pool"] == "references"


def test_the_first_reference_is_the_wrong_model_and_is_not_compared_with_itself(two: Path) -> None:
    results = json.loads((two / "report" / "results.json").read_text())
    assert all(a["versus_wrong_model"] is not None for a in results["attacks"])
    scores = pd.read_csv(two / "report" / "scores.csv").set_index(["attack", "unit_id"])["score"]
    # With itself among the references, the wrong model would deviate less than it does from the other one.
    alone = [a["name"] for a in results["controls"] if a["name"] == "wrong_model_lira_offline"]
    assert alone and scores["wrong_model_calibrated_loss"].std() > 0


def test_the_report_says_what_was_vouched_for(two: Path, pretraining: list[Path]) -> None:
    notes = " ".join(json.loads((two / "report" / "results.json").read_text())["notes"])
    assert "is the user's statement" in notes
    assert pretraining[1].name in notes and pretraining[2].name in notes
    page = (two / "report" / "report.html").read_text()
    assert '<h2 id="shadow_models">Reference models</h2>' in page


def test_with_one_reference_the_wrong_model_is_judged_by_its_loss_alone(
    pretraining: list[Path], manifest: Path, tmp_path: Path
) -> None:
    attack(pretraining[0], pretraining[1:2], manifest, tmp_path, "--attacks", "[PretextLoss, CalibratedLoss]")
    scores = pd.read_csv(tmp_path / "report" / "scores.csv")
    scores = scores[scores["level"] == "utterance"].set_index(["attack", "unit_id"])["score"]
    pd.testing.assert_series_equal(
        scores["wrong_model_calibrated_loss"], scores["wrong_model_pretext_loss"], check_names=False
    )


def test_a_bare_encoder_gives_signals_of_the_encoder_only(
    save_checkpoint: Callable[..., Path], pretraining: list[Path], manifest: Path, tmp_path: Path
) -> None:
    heads = {"class_path": "SurrogateHeadScore"}
    chosen = ["CalibratedLoss", {"class_path": "CalibratedLoss", "init_args": {"signal": heads}}]
    references = [save_checkpoint("Wav2Vec2Model", 10), pretraining[1]]
    results = attack(pretraining[0], references, manifest, tmp_path, "--attacks", json.dumps(chosen))
    used = {a["name"]: a["n_references"] for a in results["attacks"] if a["level"] == "utterance"}
    assert used == {"calibrated_loss": 1, "calibrated_loss_surrogate_head": 2}
    assert any("has no pretext score" in note for note in results["notes"])


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ([0], "has the weights of the target"),
        ([1, 1], "give each reference model once"),
    ],
)
def test_a_reference_is_neither_the_target_nor_given_twice(
    pretraining: list[Path],
    manifest: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    references: list[int],
    message: str,
) -> None:
    chosen = [pretraining[number] for number in references]
    assert main(arguments(pretraining[0], chosen, manifest, tmp_path)) == 2
    assert message in error(capsys)


def test_the_target_without_its_heads_is_the_target(
    pretraining: list[Path], manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import transformers

    folder = tmp_path / "bare"
    transformers.Wav2Vec2Model.from_pretrained(pretraining[0]).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    assert main(arguments(pretraining[0], [folder], manifest, tmp_path / "run")) == 2
    assert "has the weights of the target" in error(capsys)


def test_references_work_on_a_drawn_split(pretraining: list[Path], speakers_manifest: Path, tmp_path: Path) -> None:
    split = ["split", str(speakers_manifest), "--out", str(tmp_path / "S"), "--n_units", "40", "--n_auxiliary", "30"]
    assert main(split) == 0
    options = ["--split", str(tmp_path / "S"), "--attacks", "[PretextLoss, CalibratedLoss]"]
    results = attack(pretraining[0], pretraining[1:2], speakers_manifest, tmp_path / "R", *options)
    assert results["split"]["drawn"]
    assert {a["name"]: a["n_references"] for a in results["attacks"]} == {"pretext_loss": 0, "calibrated_loss": 1}
    assert "reference models" in results["provenance"]["hashes"]


def test_a_wrong_model_that_is_a_reference_too_is_not_compared_with_itself(
    pretraining: list[Path], manifest: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(pretraining[1], copy)
    options = ["--controls.wrong_model_checkpoint", str(copy), "--attacks", "[PretextLoss, CalibratedLoss]"]
    attack(pretraining[0], pretraining[1:2], manifest, tmp_path / "R", *options)
    scores = pd.read_csv(tmp_path / "R" / "report" / "scores.csv").set_index("attack")["score"]
    assert scores["wrong_model_calibrated_loss"].tolist() == scores["wrong_model_pretext_loss"].tolist()


def test_references_are_instead_of_shadow_models(
    pretraining: list[Path], manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = arguments(pretraining[0], pretraining[1:2], manifest, tmp_path)
    assert main([*options, "--fleet.size", "2"]) == 2
    assert "instead of shadow models: give --fleet.size 0" in error(capsys)
