"""Colour only where it is shown and wanted."""

import io

import pytest

from lightning_mia.utilities.terminal import styled


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert styled("leak", "red", Terminal()) == "\033[31mleak\033[0m"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_switched_off(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert styled("leak", "red", Terminal()) == "leak"
    assert styled("leak", "red", io.StringIO()) == "leak"
