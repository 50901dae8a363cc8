"""Bars in a terminal, lines in a log."""

import io
import time

import pytest

from lightning_mia.utilities import progress_bar
from lightning_mia.utilities.progress_bar import tqdm


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(file: io.StringIO, **options: object) -> str:
    for _ in tqdm(range(50), desc="Training", file=file, **options):
        time.sleep(0.01)
    return file.getvalue()


def test_a_terminal_gets_a_bar() -> None:
    text = run(Terminal(), mininterval=0.0)
    assert text.count("\r") > 10


def test_short_work_prints_nothing_to_a_log() -> None:
    assert run(io.StringIO()) == ""


def test_a_log_gets_lines_of_less_than_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "SECONDS_BETWEEN_LINES", 0.1)
    text = run(io.StringIO(), dynamic_ncols=True, mininterval=0.5)
    assert "\r" not in text
    lines = text.splitlines()
    assert 1 <= len(lines) < 50
    assert all(line.startswith("Training: ") and len(line) < 80 for line in lines)
