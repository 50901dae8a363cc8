"""Command-line reference agrees with the parsers."""

from collections.abc import Callable
from types import ModuleType

import pytest

from lightning_mia.audit import cli
from lightning_mia.audit.commands import COMMANDS


@pytest.fixture(scope="module")
def reference(tool: Callable[[str], ModuleType]) -> ModuleType:
    return tool("cli_reference")


def test_every_command_has_a_section(reference: ModuleType) -> None:
    page = reference.page()
    assert reference.commands() == list(cli.COMMANDS)
    assert set(COMMANDS) < set(cli.COMMANDS)
    for command in reference.commands():
        assert f"\n## {command}\n" in page
    assert page.count("\n- `--trainer.max_epochs`") == 1  # shared options are listed once
    for option in ("--fleet.size", "--trainer.max_epochs", "--data.corpus", "--matching.duration", "run_dir"):
        assert f"`{option}`" in page or f", `{option}" in page
