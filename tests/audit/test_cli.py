import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lightning_mia.audit.cli import main

FOLDER = Path(__file__).parents[2] / "configs"
ELSEWHERE = {"paper", "ablation", "cluster"}  # see test_paper_configs, ablation/test_ablate, and below
CONFIGS = sorted(path for path in FOLDER.rglob("*.yaml") if not ELSEWHERE & set(path.parts))


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "lightning_mia", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.slow
def test_help_names_every_command() -> None:
    text = run("--help")
    assert all(command in text for command in ("fit", "attack", "audit", "blind", "report", "compare"))


WITHOUT_PLACEHOLDERS = """
from lightning_mia import cli, placeholders
placeholders.install = lambda: None
try:
    cli.main(["fit", "--help"])
except SystemExit:
    print("and audit")
cli.main(["audit", "--help"])
"""


@pytest.mark.slow
def test_placeholders_change_nothing_that_is_printed() -> None:
    quick = [run(command, "--help") for command in ("fit", "audit")]
    command = [sys.executable, "-c", WITHOUT_PLACEHOLDERS]
    whole = subprocess.run(command, capture_output=True, text=True, timeout=240).stdout.split("and audit\n")
    assert quick == whole
    assert all("--run_dir" in text for text in quick)


@pytest.mark.parametrize("command", ["blind", "report", "compare"])
def test_commands_without_a_model_have_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    assert "run" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["fit", "attack", "audit"])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_valid_and_serves_every_command(
    path: Path, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "lightning_mia.audit.placeholders.install", lambda: None
    )  # this process still needs the real modules
    with pytest.raises(SystemExit) as exit_:
        main([command, "-c", str(path), "--print_config"])
    assert exit_.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["model"]["class_path"].startswith("lightning_mia.models.")


@pytest.mark.parametrize(
    ("base", "overlay", "strategy"),
    [("pretrain/hubert_base", "eight_gpus", "ddp"), ("finetune/pretrained", "fsdp", "FSDPStrategy")],
)
def test_configs_of_clusters_are_laid_over_others(
    base: str, overlay: str, strategy: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning_mia.audit.placeholders.install", lambda: None)  # as above
    configs = [str(FOLDER / f"{base}.yaml"), str(FOLDER / "cluster" / f"{overlay}.yaml")]
    with pytest.raises(SystemExit) as exit_:
        main(["fit", "-c", configs[0], "-c", configs[1], "--print_config"])
    assert exit_.value.code == 0
    trainer = yaml.safe_load(capsys.readouterr().out)["trainer"]
    assert trainer["devices"] == 8
    assert strategy in str(trainer["strategy"])


def test_without_a_command_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no_such_command"]) == 2
    assert "lightning-mia: error:" in capsys.readouterr().err
