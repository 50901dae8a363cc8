"""The index of options: what the package ships, and what a typo costs."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from lightning_mia.audit import option_index
from lightning_mia.audit.commands import COMMANDS
from lightning_mia.audit.option_index import SHIPPED, load_index, save_index
from tools.docs.cli_reference import command_parser
from tools.docs.option_index import content

AUDIT = ["audit", "-c", "audit/manifest"]
TYPOS: dict[str, tuple[list[str], str]] = {
    "command": (["aduit"], "unknown command 'aduit' (did you mean audit?)"),
    "no config": (["audit"], "audit needs a config: give -c CONFIG"),
    "config": (
        ["audit", "-c", "audit/manifst"],
        "there is no config audit/manifst (did you mean audit/manifest.yaml?)",
    ),
    "option": ([*AUDIT, "--run_dri", "R"], "there is no option --run_dri (did you mean --run_dir?)"),
    "abbreviation": ([*AUDIT, "--data.split_s", "5"], "there is no option --data.split_s (did you mean --data.split"),
    "option of the trainer": ([*AUDIT, "--trainer.max_epoch", "3"], "there is no option --trainer.max_epoch (did you"),
    "option of a class": ([*AUDIT, "--data.corpus.pth", "M"], "--data.corpus: Manifest has no argument pth (did you"),
    "no dashes": ([*AUDIT, "run_dir", "R"], "run_dir: unexpected word; options begin with --"),
    "no value": ([*AUDIT, "--fleet.size"], "--fleet.size: give a value after it"),
    "seed": ([*AUDIT, "--seed_everything", "abc"], "--seed_everything abc: give true or false or a whole number"),
    "seed out of range": ([*AUDIT, "--seed_everything", "-4"], "seed_everything is -4: give 0 to 4,294,967,295"),
    "whole number": ([*AUDIT, "--fleet.size", "two"], "--fleet.size two: give a whole number"),
    "number": ([*AUDIT, "--data.batch_seconds", "l6"], "--data.batch_seconds l6: give a number"),
    "number out of range": ([*AUDIT, "--data.batch_seconds", "-1"], "data.batch_seconds is -1.0: give more than 0"),
    "true or false": ([*AUDIT, "--positive_control", "ture"], "--positive_control ture: give true or false"),
    "choice": ([*AUDIT, "--attack_set", "al"], "--attack_set al: give recommended or all (did you mean all?)"),
    "number or choice": ([*AUDIT, "--fleet.workers", "atuo"], "--fleet.workers atuo: give a whole number or auto (did"),
    "list": ([*AUDIT, "--evaluation.fprs", "0.1"], '--evaluation.fprs 0.1: give a list, such as "[0.1]"'),
    "number of the trainer": ([*AUDIT, "--trainer.max_epochs", "many"], "--trainer.max_epochs many: give a whole num"),
    "precision": ([*AUDIT, "--trainer.precision", "bf61-mixed"], "--trainer.precision bf61-mixed: give "),
    "attack": ([*AUDIT, "--attacks", "[RMIAA]"], "attacks: there is no class RMIAA (did you mean RMIA?); the names"),
    "attack without a list": ([*AUDIT, "--attacks", "RMIA"], '--attacks RMIA: give a list, such as "[RMIA]"'),
    "model": ([*AUDIT, "--model", "HuBRT"], "model: there is no class HuBRT (did you mean HuBERT?); the names are"),
    "corpus": ([*AUDIT, "--data.corpus", "Manifst"], "data.corpus: there is no class Manifst (did you mean Manifest?)"),
    "design": ([*AUDIT, "--data.design", "SpekerDesign"], "data.design: there is no class SpekerDesign (did you mean"),
    "number of a model": ([*AUDIT, "--model.dim", "wide"], "--model.dim wide: give a whole number"),
    "number of a design": ([*AUDIT, "--data.design.n_units", "two"], "--data.design.n_units two: give a whole number"),
    "argument in braces": (
        [*AUDIT, "--data.corpus", "{class_path: Manifest, init_args: {pth: M.csv}}"],
        "--data.corpus: Manifest has no argument pth (did you mean path?)",
    ),
    "argument of an attack": (
        [*AUDIT, "--attacks", "[PretextLoss, {class_path: RMIA, init_args: {gamma: x}}]"],
        "--attacks.RMIA.gamma x: give a number",
    ),
    "manifest": (
        [*AUDIT, "--data.corpus.path", "N.csv"],
        "N.csv: cannot read the manifest (No such file or directory)",
    ),
    "key in a config": (
        ["audit", "-c", "KEY"],
        "key.yaml: there is no option data.split_sed (did you mean data.split_s",
    ),
    "value in a config": (["audit", "-c", "VALUE"], "value.yaml: --fleet.size two: give a whole number"),
    "option of report": (["report", "--nmes", "R"], "there is no option --nmes (did you mean --names?)"),
}
"""Mistake → command line, and the start of the message."""

CODE = """
import json, sys
from contextlib import redirect_stderr
from io import StringIO
from lightning_mia.audit.cli import main
for arguments in json.loads(sys.stdin.read()):
    with redirect_stderr(StringIO()) as answer:
        status = main(arguments)
    print(json.dumps([status, answer.getvalue(), "torch" in sys.modules]))
"""


@pytest.mark.slow
def test_a_typo_of_every_kind_is_answered_without_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_MIA_CACHE", str(tmp_path))
    save_index("audit", command_parser("audit"))
    (tmp_path / "key.yaml").write_text("data: {split_sed: 4}")
    (tmp_path / "value.yaml").write_text("model: TERA\nfleet: {size: two}")
    configs = {name: str(tmp_path / f"{name.lower()}.yaml") for name in ("KEY", "VALUE")}
    commands = [[configs.get(word, word) for word in words] for words, _ in TYPOS.values()]
    answers = subprocess.run(
        [sys.executable, "-c", CODE],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    for kind, (_, message), line in zip(TYPOS, TYPOS.values(), answers.stdout.splitlines(), strict=True):
        status, answer, has_torch = json.loads(line)
        answer = answer.replace(f"{tmp_path}{os.sep}", "")
        assert answer.startswith(f"lightning-mia: error: {message}"), (kind, answer)
        assert (status, answer.count("\n"), has_torch) == (2, 1, False), (kind, answer)


def test_the_shipped_index_is_current() -> None:
    shipped = json.loads(SHIPPED.read_text(encoding="utf-8"))["lightning"]
    if shipped != version("lightning"):
        pytest.skip(f"made with Lightning {shipped}")
    assert SHIPPED.read_text(encoding="utf-8") == content(), "run python -m tools.docs.option_index"


def index_without_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: object) -> object:
    """Load the index of `attack` where no command has run, from a shipped one with changes."""
    monkeypatch.setenv("LIGHTNING_MIA_CACHE", str(tmp_path / "cache"))
    shipped = {**json.loads(SHIPPED.read_text(encoding="utf-8")), "lightning": version("lightning"), **changes}
    (tmp_path / "index.json").write_text(json.dumps(shipped))
    monkeypatch.setattr(option_index, "SHIPPED", tmp_path / "index.json")
    return load_index("attack")


def test_the_first_command_has_the_shipped_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attack = index_without_cache(tmp_path, monkeypatch)
    assert isinstance(attack, option_index.OptionIndex)
    assert attack.knows("target_checkpoint")
    for command in set(COMMANDS) - {"attack"}:
        index = load_index(command)
        assert index is not None
        assert index.options.keys() == attack.options.keys() - {"target_checkpoint"}
        assert index.classes["model"].keys() >= {"TERA", "HuBERT"}


def test_an_index_for_another_lightning_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert index_without_cache(tmp_path, monkeypatch, lightning="2.0.0") is None


def test_an_index_older_than_the_sources_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert index_without_cache(tmp_path, monkeypatch) is not None
    newest = max(time for _, time in option_index._times()) / 1e9
    os.utime(tmp_path / "index.json", (newest - 3600, newest - 3600))
    assert load_index("attack") is None
