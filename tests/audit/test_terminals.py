"""Terminals that cannot print every character, users without a home, names that are too long."""

import gc
import io
import pwd
import sys
from pathlib import Path

import pytest

from lightning_mia.audit.cli import main
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import cache_root


def test_characters_that_the_terminal_lacks_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="ascii"))
    assert main(["--help"]) == 0
    print("ε ≥ 2 …")
    sys.stdout.flush()
    assert output.getvalue().endswith(b"? ? 2 ?\n")


def test_a_command_of_its_own_process_ends_without_a_last_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["lightning-mia", "--help"])
    try:
        assert main() == 0
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_without_a_home_the_cache_has_to_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unknown(*_: object) -> None:
        raise KeyError

    monkeypatch.setenv("LIGHTNING_MIA_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    for name in ("LIGHTNING_MIA_CACHE", "HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(InputError, match=r"There is no home folder .* set LIGHTNING_MIA_CACHE to a folder"):
        cache_root()


@pytest.mark.parametrize("command", [["report"], ["blind", "m.csv", "--out"], ["configs", "audit/demo.yaml", "--to"]])
def test_a_name_that_is_too_long_is_one_line(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, str(tmp_path / ("r" * 300))]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("lightning-mia: error: ")
    assert errors.count("\n") == 1
    assert len(errors) < 400
