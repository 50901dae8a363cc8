"""Monitoring on the command line: of the target only, with the bound as a setting."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from lightning_mia.audit.cli import main
from lightning_mia.audit.monitor.records import read_table

BY_OPTIONS = ["--monitor.every_n_epochs", "2"]


def stage(run_dir: Path) -> dict:
    return json.loads((run_dir / "target" / "stage.json").read_text())


def fit(config: Path, run_dir: Path, *options: str) -> int:
    return main(["fit", "-c", str(config), "--run_dir", str(run_dir), *options])


@pytest.fixture(scope="module")
def monitored(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose target was monitored by a callback in the config."""
    settings = yaml.safe_load(config.read_text())
    options = {"every_n_epochs": 2, "layers": "all", "probe": settings["probe"]}
    settings["trainer"]["callbacks"] = [{"class_path": "lightning_mia.LeakageMonitor", "init_args": options}]
    folder = tmp_path_factory.mktemp("monitored")
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    assert main(["audit", "-c", str(folder / "config.yaml"), "--run_dir", str(folder / "run")]) == 0
    return folder / "run"


@pytest.mark.slow
def test_only_the_target_is_monitored_and_its_hash_stays(monitored: Path, config: Path, tmp_path: Path) -> None:
    assert [path.parent.name for path in monitored.rglob("leakage.csv")] == ["target"]
    assert read_table(monitored / "target" / "leakage.csv")["epoch"].unique().tolist() == [0, 2, 3]
    assert fit(config, tmp_path) == 0
    assert stage(tmp_path)["sha256"] == stage(monitored)["sha256"]
    weights = (tmp_path / "target" / "model.ckpt").read_bytes()
    assert weights == (monitored / "target" / "model.ckpt").read_bytes()


@pytest.mark.slow
def test_the_last_measurement_equals_the_report(monitored: Path) -> None:
    attacks = json.loads((monitored / "report" / "results.json").read_text())["attacks"]
    reported = {attack["name"]: attack for attack in attacks}
    table = read_table(monitored / "target" / "leakage.csv")
    last = table[table["epoch"] == 3].drop_duplicates("attack", keep="last").set_index("attack")
    assert set(last.index) == {"pretext_loss", "utterance_similarity"} == set(reported)
    for name, attack in reported.items():
        assert last.loc[name, "auroc"] == pytest.approx(attack["auroc"], abs=0.005)
        assert [last.loc[name, "lo"], last.loc[name, "hi"]] == pytest.approx(attack["auroc_ci95"], abs=0.01)


@pytest.mark.slow
def test_hparams_have_settings_and_metrics(monitored: Path) -> None:
    events = EventAccumulator(str(monitored / "target" / "tensorboard")).Reload()
    contents = events.summary_metadata
    start = plugin_data_pb2.HParamsPluginData.FromString(
        contents["_hparams_/session_start_info"].plugin_data.content
    ).session_start_info
    assert start.hparams["model.dim"].number_value == 16
    assert start.hparams["trainer.max_epochs"].number_value == 3
    assert start.hparams["family"].string_value == "MelHuBERT"
    experiment = plugin_data_pb2.HParamsPluginData.FromString(
        contents["_hparams_/experiment"].plugin_data.content
    ).experiment
    names = {info.name.tag for info in experiment.metric_infos}
    assert names >= {"train/loss", "leakage/pretext_loss/auroc", "leakage/pretext_loss/gap", "held_out/pretext_loss"}
    assert names <= set(events.Tags()["scalars"])
    assert "hp_metric" not in events.Tags()["scalars"]


@pytest.mark.slow
def test_a_bound_is_a_setting_of_the_training(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bound = [*BY_OPTIONS, "--monitor.stop_above", "0.99"]
    assert fit(config, tmp_path, *bound) == 0
    assert stage(tmp_path)["settings"]["stop"]["above"] == 0.99
    assert fit(config, tmp_path, *bound) == 0
    assert fit(config, tmp_path, *BY_OPTIONS) == 2
    assert "stop: " in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("audit", [*BY_OPTIONS, "--monitor.stop_above", "0.6", "--fleet.size", "2"], "leave stop_above out"),
        ("shadow", [*BY_OPTIONS, "--monitor.stop_above", "0.6", "--fleet.size", "2"], "leave stop_above out"),
        ("fit", ["--monitor.stop_above", "0.6"], "monitor.stop_above needs measurements"),
        ("fit", ["--monitor.every_n_epochs", "-1"], "monitor.every_n_epochs is -1"),
        ("fit", [*BY_OPTIONS, "--monitor.stop_above", "1.5"], "stop_above is 1.5"),
        ("fit", ["--trainer.callbacks", "[LeakageMonitor, LeakageMonitor]"], "several LeakageMonitors"),
        ("fit", [*BY_OPTIONS, "--trainer.callbacks", "[LeakageMonitor]"], "leave one of them out"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    command: str, options: list[str], message: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "-c", str(config), "--run_dir", str(tmp_path), *options]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("lightning-mia: error: ")
    assert message in error
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.slow
def test_two_processes_measure_the_same_as_one(config: Path, tmp_path: Path) -> None:
    """Both train on the same recordings by the same seeds, so that before the first step they hold the same model."""
    assert fit(config, tmp_path / "one", *BY_OPTIONS) == 0
    command = ["fit", "-c", str(config), "--run_dir", str(tmp_path / "two"), *BY_OPTIONS]
    command += ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    subprocess.run([sys.executable, "-m", "lightning_mia", *command], check=True, timeout=300)
    tables = [read_table(tmp_path / name / "target" / "leakage.csv") for name in ("one", "two")]
    single, double = tables
    assert double["epoch"].tolist() == single["epoch"].tolist()
    first = ["epoch", "step", "attack", "auroc", "lo", "hi", "gap"]
    before = [table[table["epoch"] == 0][first].set_index("attack") for table in tables]
    pd.testing.assert_frame_equal(*before, rtol=1e-4, atol=1e-6)
