"""Shadow models copy the target's clusters, or are refused in one line."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from lightning_mia.models.checkpoint import model_from_checkpoint
from lightning_mia.models.learned_targets import targets_sha256
from lightning_mia.training import train
from tests.audit.shadow_models.conftest import StopsAt, assert_same_weights, refused, run, shadow_files, times_of

pytestmark = pytest.mark.slow

VICTIM = ["--fleet.size", "4", "--fleet.targets", "victim"]


@pytest.fixture(scope="module")
def fitted(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained target."""
    folder = tmp_path_factory.mktemp("shared") / "fitted"
    assert run("fit", config, folder) == 0
    return folder


@pytest.fixture(scope="module")
def shared(fitted: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with four shadow models that copied its clusters, and a report."""
    folder = tmp_path_factory.mktemp("shared") / "attacked"
    shutil.copytree(fitted, folder)
    assert run("shadow", config, folder, *VICTIM) == 0
    assert run("attack", config, folder, *VICTIM) == 0
    return folder


@pytest.fixture(scope="module")
def tera_config(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny config with a family that has no learned targets."""
    settings = yaml.safe_load(config.read_text())
    sizes = {"n_layers": 1, "dim": 16, "n_heads": 2, "feedforward_dim": 32}
    settings["model"] = {"class_path": "TERA", "init_args": sizes}
    path = tmp_path_factory.mktemp("tera") / "tera.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def clusters(folder: Path) -> dict[str, Tensor]:
    weights = torch.load(folder / "model.ckpt", weights_only=True)["state_dict"]
    found = {name: value for name, value in weights.items() if name.startswith("clusters.")}
    assert found["clusters.fitted"]
    return found


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def settings_of(folder: Path) -> dict[str, object]:
    settings: dict[str, object] = json.loads((folder / "stage.json").read_text())["settings"]
    return settings


def test_clusters_equal_the_targets_to_the_bit(shared: Path, fleet: Path) -> None:
    of_target = clusters(shared / "target")
    for number in range(4):
        assert equal(clusters(shared / f"shadows/00{number}"), of_target)
        assert not equal(clusters(fleet / f"shadows/00{number}"), of_target)  # fitted on their own recordings
    assert equal(clusters(shared / "wrong_model"), of_target)
    assert not shadow_files(shared).items() & shadow_files(fleet).items()


def test_the_hash_of_the_targets_is_a_setting_of_the_stage(shared: Path, fleet: Path) -> None:
    target = model_from_checkpoint(shared / "target" / "model.ckpt")
    for number in range(4):
        of_shadow = settings_of(shared / f"shadows/00{number}")
        assert of_shadow.pop("targets") == targets_sha256(target)
        assert of_shadow == settings_of(fleet / f"shadows/00{number}")  # as in earlier versions
        assert (
            model_from_checkpoint(shared / f"shadows/00{number}/model.ckpt").origin["training"]
            == (target.origin["training"])
        )
    assert "targets" not in settings_of(shared / "target")
    assert settings_of(shared / "wrong_model")["targets"] == targets_sha256(target)


def test_the_report_names_the_targets(shared: Path, audited: Path) -> None:
    for folder, targets in ((shared, "victim"), (audited, "own")):
        results = json.loads((folder / "report" / "results.json").read_text())
        assert results["fleet"]["targets"] == targets
    assert "They share the target&#39;s clusters" in (shared / "report" / "report.html").read_text()


def test_one_command_trains_the_same_models(shared: Path, config: Path, tmp_path: Path) -> None:
    assert run("audit", config, tmp_path, *VICTIM, "--controls.wrong_model", "false") == 0
    assert_same_weights(tmp_path, shared)
    before = times_of(tmp_path)
    assert run("shadow", config, tmp_path, *VICTIM) == 0
    assert times_of(tmp_path) == before


@pytest.mark.usefixtures("forked_workers")
def test_workers_copy_the_same_clusters(shared: Path, fitted: Path, config: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(fitted, tmp_path / "run"))
    assert run("shadow", config, folder, *VICTIM, "--fleet.workers", "2") == 0
    assert_same_weights(folder, shared)


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_interrupted_shadow_model_keeps_the_clusters(
    shared: Path, fitted: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    folder = Path(shutil.copytree(fitted, tmp_path / "run"))
    with monkeypatch.context() as patched:
        patched.setattr(train, "LastCheckpoint", StopsAt)
        patched.setenv("STOPS_AT", str(epoch))
        with pytest.raises(RuntimeError, match="killed"):
            run("shadow", config, folder, *VICTIM, "--fleet.workers", "1")
    assert (folder / "shadows" / "002" / "last.ckpt").exists()
    assert run("shadow", config, folder, *VICTIM) == 0
    assert_same_weights(folder, shared)


def test_shadow_models_of_an_untrained_target_are_refused(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, "shadow", config, tmp_path / "R", *VICTIM)
    assert f"{tmp_path / 'R'} holds no trained target, whose clusters the shadow models copy: run " in line
    assert "`lightning-mia fit` with the same config and run directory first, or give --fleet.targets own" in line
    assert not list((tmp_path / "R").glob("[!.]*"))


@pytest.mark.parametrize("command", ["shadow", "audit"])
def test_own_targets_are_refused_where_the_victims_are_requested(
    fleet: Path, config: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, command, config, fleet, *VICTIM)
    assert f"{fleet / 'shadows/000'} was trained on its own clusters, but shadow models are to share " in line
    assert "give another --run_dir, or --fleet.targets own" in line
    assert not (fleet / "target").exists()  # refused before a target was trained


def test_the_victims_targets_are_refused_where_own_ones_are_requested(
    shared: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, "attack", config, shared, "--fleet.size", "4", "--fleet.targets", "own")
    assert f"{shared / 'shadows/000'} was trained on the target's clusters, but --fleet.targets own is " in line


def test_targets_of_another_target_are_refused(
    shared: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lightning_mia.models.learned_targets.targets_sha256", lambda model: "0" * 64)
    folder = Path(shutil.copytree(shared, tmp_path / "run"))
    line = refused(capsys, "attack", config, folder, *VICTIM)
    assert "shadows/000 was trained on the clusters of another target than " in line
    assert f"give another --run_dir, or delete {folder / 'shadows'}" in line
    for model in [*(folder / "shadows").iterdir(), folder / "wrong_model"]:
        shutil.rmtree(model)
    line = refused(capsys, "attack", config, folder, *VICTIM)
    assert f"{folder / 'target/model.ckpt'} no longer holds the targets that the shadow models copy" in line


def test_shadow_models_with_other_clusters_than_recorded_are_refused(
    shared: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lightning_mia.audit.shadow_models.trained.targets_sha256", lambda model: "0" * 64)
    folder = Path(shutil.copytree(shared, tmp_path / "run"))
    line = refused(capsys, "attack", config, folder, *VICTIM)
    assert f"{folder / 'shadows/000/model.ckpt'}: its clusters are not those of the target; delete " in line


def test_other_differences_are_named_first(shared: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "audit", config, shared, *VICTIM, "--trainer.max_epochs", "4")
    assert "trainer.max_epochs: 3 stored, 4 requested" in line
    assert "targets" not in line


def test_a_family_without_learned_targets_needs_no_target(tera_config: Path, tmp_path: Path) -> None:
    assert run("shadow", tera_config, tmp_path, *VICTIM, "--fleet.size", "2") == 0
    assert "targets" not in settings_of(tmp_path / "shadows" / "000")
    before = times_of(tmp_path)
    assert run("audit", tera_config, tmp_path, "--fleet.size", "2") == 0  # as in a run with own targets
    assert {path: time for path, time in times_of(tmp_path).items() if path in before} == before
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    assert results["fleet"]["targets"] is None
