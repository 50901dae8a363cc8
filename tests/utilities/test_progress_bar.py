"""Bars in a terminal, lines in a log."""

import io
import time

import pytest

from lightning_mia.utilities import progress_bar
from lightning_mia.utilities.progress_bar import Progress, WorkBar, tqdm
from tests.terminal import Terminal


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


def test_tasks_correct_the_expected_work() -> None:
    progress = Progress(total=10.0)
    with progress.task("less", 4.0):
        progress.advance(1.0)
    assert (progress.done, progress.total) == (1.0, 7.0)
    with progress.task("more", 6.0):
        progress.advance(6.0)
        progress.advance(2.0)
    assert (progress.done, progress.total) == (9.0, 9.0)


def test_skipped_work_is_not_counted() -> None:
    progress = Progress(total=10.0)
    with progress.task("resumed", 10.0):
        progress.skip(4.0)
        progress.advance(3.0)
        assert (progress.done, progress.total) == (3.0, 6.0)
        progress.skip(100.0)
    assert (progress.done, progress.total) == (3.0, 3.0)


def work_in_bar(monkeypatch: pytest.MonkeyPatch, file: io.StringIO, total: float = 100.0) -> str:
    """Write what a bar of two tasks writes."""
    monkeypatch.setattr("sys.stderr", file)
    with WorkBar("Probing", total) as bar:
        for name in ("target: answers", "wrong model: a signal group with a name that is rather long for a line"):
            with bar.task(name, 50.0):
                for _ in range(25):
                    bar.advance(2.0)
                    time.sleep(0.01)
    return file.getvalue()


def test_one_bar_names_its_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    text = work_in_bar(monkeypatch, Terminal())
    assert "Probing:   0%" in text and "target: answers]" in text
    assert "Probing:  50%" in text and ", wrong model: a" in text
    assert text.rstrip().endswith("]") and "Probing: 100%" in text


def test_one_bar_is_lines_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "SECONDS_BETWEEN_LINES", 0.1)
    lines = work_in_bar(monkeypatch, io.StringIO()).splitlines()
    assert len(lines) >= 2
    assert all(line.startswith("Probing: ") and len(line) < 80 and "\r" not in line for line in lines)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_no_work_shows_no_bar(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> None:
    file = Terminal() if is_terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", file)
    with WorkBar("Probing", 0.0) as bar, bar.task("target", 0.0):
        pass
    assert file.getvalue() == ""


def test_the_remaining_time_is_that_at_the_mean_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    with WorkBar("Probing", 100.0) as bar, bar.task("target", 100.0):
        bar.bar.start_t -= 60
        bar.advance(10.0)
        bar.bar._time = lambda: bar.bar.start_t + 60
        assert "[01:00<09:00, target]" in str(bar.bar)
