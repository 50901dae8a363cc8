"""The command line: help, configs and short class names."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from lightning_mia.audit import cli
from lightning_mia.audit.cli import main
from lightning_mia.audit.help_pages import MAIN_OPTIONS

FOLDER = Path(__file__).parents[2] / "configs"
ELSEWHERE = {"paper", "ablation", "cluster"}  # see test_paper_configs, ablation/test_ablate, and below
CONFIGS = sorted(path for path in FOLDER.rglob("*.yaml") if not ELSEWHERE & set(path.parts))
WITH_MODEL = ["fit", "shadow", "attack", "audit"]
HEAVY = {"torch", "lightning", "transformers", "matplotlib", "scipy", "sklearn", "torchmetrics", "torchaudio"}
LOADED = """
import sys
from lightning_mia.audit.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print()
print(*sys.modules, sep="\\n")
"""


def call_help(command: str, cache: Path, option: str = "--help") -> tuple[str, set[str]]:
    """Help of a command, and the modules that it imports."""
    arguments = [sys.executable, "-c", LOADED, command, option]
    environment = {**os.environ, "LIGHTNING_MIA_CACHE": str(cache)}
    answer = subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=120, env=environment)
    text, modules = answer.stdout.rsplit("\n\n", 1)
    return text, set(modules.splitlines())


def print_config(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    with pytest.raises(SystemExit) as exit_:
        main([*arguments, "--print_config"])
    assert exit_.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_lists_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, command in cli.COMMANDS.items():
        assert f"  {name:<8} {command.summary}" in lines


@pytest.mark.slow
@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name not in WITH_MODEL])
def test_help_of_a_command_without_a_model_imports_no_heavy_library(command: str, tmp_path: Path) -> None:
    _, modules = call_help(command, tmp_path)
    assert "lightning_mia.audit.cli" in modules
    assert not HEAVY & modules


@pytest.mark.slow
@pytest.mark.parametrize("command", WITH_MODEL)
def test_help_of_a_command_with_a_model_imports_what_lightning_does_once(command: str, tmp_path: Path) -> None:
    """Lightning imports torchmetrics, which imports SciPy, Matplotlib and the automatic classes of transformers."""
    text, modules = call_help(command, tmp_path, "--help-all")
    assert text.index("--data.corpus") < text.index("--fleet.size") < text.index("--trainer.max_epochs")
    assert {"lightning", "torch"} <= modules
    assert not {"sklearn", "tensorboard", "ray", "datasets"} & modules
    models = {name for name in modules if name.startswith("transformers.models.") and ".modeling_" in name}
    assert models <= {"transformers.models.auto.modeling_auto"}
    cached_text, modules = call_help(command, tmp_path, "--help-all")
    assert cached_text == text
    assert not HEAVY & modules


@pytest.mark.parametrize("command", WITH_MODEL)
def test_the_short_help_fits_80_columns_and_imports_no_heavy_library(command: str, tmp_path: Path) -> None:
    text, modules = call_help(command, tmp_path)
    assert not HEAVY & modules
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line.startswith(f"  lightning-mia {command} -c ")][2:]
    for option in MAIN_OPTIONS:
        assert f"  {option}" in text
    assert "--help-all" in text
    assert len(MAIN_OPTIONS) == 15


@pytest.mark.slow
def test_help_lists_the_arguments_of_the_classes_that_a_config_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIGHTNING_MIA_CACHE", str(tmp_path))
    assert main(["audit", "-c", "audit/manifest.yaml", "--model", "TERA", "--help"]) == 0
    text = capsys.readouterr().out
    for option in ("--data.corpus.path ", "--data.design.n_units ", "--model.mask_length "):
        assert f"  {option}" in text
    assert "options of TERA:" in text
    assert "MelHuBERT:" not in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.slow
def test_help_is_printed_where_nothing_can_be_cached(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    text, _ = call_help("fit", tmp_path / "file", "--help-all")
    assert "--trainer.max_epochs" in text


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name not in WITH_MODEL])
def test_help_of_a_command_begins_with_its_summary(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"usage: lightning-mia {command} " in text
    assert cli.COMMANDS[command].summary in text


@pytest.mark.parametrize("command", ["fit", "attack", "audit"])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_valid_and_serves_every_command(
    path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = print_config(capsys, command, "-c", str(path))
    assert printed["model"]["class_path"].startswith("lightning_mia.")


@pytest.mark.parametrize(
    ("base", "overlay", "strategy"),
    [("pretrain/hubert_base", "eight_gpus", "ddp"), ("finetune/pretrained", "fsdp", "FSDPStrategy")],
)
def test_configs_of_clusters_are_overlays(
    base: str, overlay: str, strategy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configs = ["-c", str(FOLDER / f"{base}.yaml"), "-c", str(FOLDER / "cluster" / f"{overlay}.yaml")]
    trainer = print_config(capsys, "fit", *configs)["trainer"]
    assert trainer["devices"] == 8
    assert strategy in str(trainer["strategy"])


SHORT_NAMES = """
model: TERA
data:
  corpus: {class_path: Manifest, init_args: {path: m.csv}}
  design: SpeakerDesign
trainer:
  callbacks: [{class_path: LeakageMonitor, init_args: {every_n_epochs: 2}}]
attacks:
  - PretextLoss
  - {class_path: BaVarIA, init_args: {signal: EveryBlackBoxSignal}}
  - class_path: LiRA
    init_args:
      signal:
        class_path: SurrogateHeadScore
        init_args:
          head:
            filling: {class_path: ShapedNoise, init_args: {gain: 3.0}}
            target: AdversarysClusters
            every: 4
"""


@pytest.mark.slow
@pytest.mark.parametrize("command", WITH_MODEL)
def test_class_names_are_enough_at_every_depth(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "short.yaml").write_text(SHORT_NAMES, encoding="utf-8")
    printed = print_config(capsys, command, "-c", str(tmp_path / "short.yaml"))
    head = printed["attacks"][2]["init_args"]["signal"]["init_args"]["head"]["init_args"]
    assert head["filling"]["class_path"].endswith(".ShapedNoise")
    assert head["target"]["class_path"].endswith(".AdversarysClusters")
    assert printed["trainer"]["callbacks"][0]["class_path"] == "lightning_mia.LeakageMonitor"


def test_blind_takes_corpora_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    sources = "{members: LibriSpeech, nonmembers: {class_path: VCTK, init_args: {root: data}}}"
    corpus = f"{{class_path: TwoSources, init_args: {sources}}}"
    printed = print_config(capsys, "blind", "--corpus", corpus, "--out", "R")
    assert printed["corpus"]["init_args"]["nonmembers"]["class_path"] == "lightning_mia.VCTK"


@pytest.mark.parametrize("option", [["--data.corpus.help", "Manifest"], ["--data.design.help=SpeakerDesign"]])
def test_help_of_a_class_takes_its_name(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["audit", *option])
    assert exit_.value.code == 0
    assert "Help for --data." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "start"),
    [
        ("no_such_command", "unknown command 'no_such_command'; the commands are fit, "),
        ("aduit", "unknown command 'aduit' (did you mean audit?); "),
        ("--versoin", "unknown option '--versoin' (did you mean --version?); "),
    ],
)
def test_an_unknown_command_is_refused_in_one_line(word: str, start: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"lightning-mia: error: {start}")
    assert error.count("\n") == 1


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lightning-mia {version('lightning-mia')}\n"


def test_the_usage_lists_nine_commands_or_fewer_before_the_steps_of_an_audit() -> None:
    commands = cli.USAGE.split("commands:\n")[1].split("\n\n")[0].splitlines()
    assert len(commands) <= 9
    assert max(map(len, cli.USAGE.splitlines())) <= 80
