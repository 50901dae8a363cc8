"""Run the documentation's examples: Python, doctests, YAML, command lines."""

import contextlib
import doctest
import io
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from lightning_mia.audit import cli
from lightning_mia.audit.ablation.command import split_arguments
from lightning_mia.audit.commands import COMMANDS
from lightning_mia.utilities.errors import InputError
from tests.docs.conftest import DOCS, ROOT, blocks, pages

WITH_PYTHON = [path for path in pages() if blocks(path, "python", "pycon")]
COMMAND = re.compile(r"^    lightning-mia ((?:.*\\\n)*.*[^\\\n])$", re.MULTILINE)
SLOW = {"recipes.md"}  # trains a model


def name(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=name(path), marks=[pytest.mark.slow] if name(path) in SLOW else []) for path in WITH_PYTHON],
)
def test_python_examples(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a page share one namespace."""
    monkeypatch.chdir(tmp_path)
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # dataclasses resolve annotations there
    namespace = vars(module)
    for language, text in blocks(path, "python", "pycon"):
        if language == "python":
            exec(compile(text, f"{path.name}", "exec"), namespace)
        else:
            test = doctest.DocTestParser().get_doctest(text, namespace, path.name, path.name, None)
            output = io.StringIO()
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
            with contextlib.redirect_stdout(output):
                result = runner.run(test, out=output.write, clear_globs=False)
            assert result.attempted
            assert not result.failed, output.getvalue()


def commands() -> list[str]:
    """Distinct command lines of the documentation."""
    lines = [command for path in pages() for command in COMMAND.findall(path.read_text(encoding="utf-8"))]
    return list(dict.fromkeys(command.replace("\\\n", " ") for command in lines))


def parse(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse arguments without running the command; invalid ones raise."""
    monkeypatch.setattr("lightning_mia.audit.commands.AuditCLI.instantiate_classes", lambda self: sys.exit(0))
    with contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as exit_:
        cli._run(arguments)
    assert exit_.value.code == 0


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in commands() if command.split()[0] in COMMANDS])
def test_commands_are_valid(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Options and configs exist, and values have the right type."""
    if "mine." in command:
        pytest.skip("names a class of the reader")
    if "R/config.yaml" in command:
        pytest.skip("names a file that a run writes")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("lightning_mia.audit.commands.check_folder", lambda path: None)
    for check in ("_check_manifest", "_check_gpu"):  # which are the reader's
        monkeypatch.setattr(f"lightning_mia.audit.option_check.{check}", lambda given: None)
    parse(shlex.split(command), monkeypatch)


def test_commands_without_a_model_are_valid(tool: Callable[[str], ModuleType]) -> None:
    reference = tool("cli_reference")
    others = [shlex.split(command) for command in commands() if command.split()[0] not in COMMANDS]
    assert others
    for name, *arguments in others:
        own = split_arguments(arguments)[0] if name == "ablate" else arguments  # the rest goes to the audits
        reference.command_parser(name).parse_args(own)


def test_misspelt_class_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("attacks: [PretextLos]", encoding="utf-8")
    with pytest.raises(InputError, match="PretextLos"):
        parse(["audit", "-c", "configs/audit/manifest.yaml", "-c", str(overlay), "--print_config"], monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in pages() if blocks(path, "yaml")], ids=name)
def test_yaml_is_valid(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: Callable[[str], ModuleType]
) -> None:
    """Each block is a grid or overlays an audit config."""
    monkeypatch.chdir(ROOT)
    for _, text in blocks(path, "yaml"):
        overlay = tmp_path / "overlay.yaml"
        overlay.write_text(text, encoding="utf-8")
        if "factors" in yaml.safe_load(text):
            tool("cli_reference").command_parser("ablate").parse_args(["-c", str(overlay)])
            continue
        parse(["audit", "-c", "configs/audit/manifest.yaml", "-c", str(overlay), "--print_config"], monkeypatch)
