"""Progress bars: in a terminal or a notebook, lines in a log, and none where they are switched off."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

with warnings.catch_warnings():  # in a notebook without ipywidgets, which then has bars of text
    warnings.filterwarnings("ignore", "IProgress not found")
    from tqdm.auto import tqdm as auto_tqdm

SECONDS_BETWEEN_LINES = 30.0
"""Time between two lines of progress where the output is no terminal."""

_shown = True


class tqdm(auto_tqdm):  # noqa: N801 - a drop-in replacement
    """Bar of `tqdm.auto` that `progress_bars` can switch off.

    In a file or a pipe, it is a line every 30 s, and nothing for work that takes less.

    Example:
        >>> with progress_bars(shown=False):
        ...     total = sum(tqdm([1, 2, 3], desc="Adding"))
        >>> total
        6
    """

    def __init__(self, *args: Any, disable: bool | None = False, **kwargs: Any) -> None:
        self.is_drawn = _is_drawn(kwargs.get("file") or sys.stderr)
        if not self.is_drawn:
            kwargs |= {"mininterval": SECONDS_BETWEEN_LINES, "maxinterval": 2 * SECONDS_BETWEEN_LINES, "miniters": 1}
            kwargs |= {"ncols": 79, "dynamic_ncols": False, "ascii": True}
            kwargs["delay"] = max(kwargs.get("delay", 0.0), SECONDS_BETWEEN_LINES)
        super().__init__(*args, disable=disable if _shown else True, **kwargs)

    @staticmethod
    def status_printer(file: Any) -> Callable[[str], None]:
        """Return a function that draws the bar or, in a log, prints a line."""
        if _is_drawn(file):
            printer: Callable[[str], None] = auto_tqdm.status_printer(file)
            return printer

        def print_line(text: str) -> None:
            if text.strip():
                file.write(f"{text.strip()}\n")
                file.flush()

        return print_line

    def moveto(self, n: int) -> None:
        """Move to the line of the bar; a log has none."""
        if self.is_drawn:
            super().moveto(n)

    def close(self) -> None:
        """Close the bar; a log has nothing to clear."""
        if self.is_drawn or getattr(self, "disable", True):
            super().close()
        else:
            self.disable = True
            self._decr_instances(self)


class Progress:
    """Work done, out of an expected total; shown nowhere.

    Args:
        total: expected work, in any unit.

    Attributes:
        total: expected work, corrected by the tasks that have ended.
        done: work done.

    Example:
        >>> progress = Progress(total=10.0)
        >>> with progress.task("target: answers", work=4.0):  # which takes less than expected
        ...     progress.advance(3.0)
        >>> progress.done, progress.total
        (3.0, 9.0)
    """

    def __init__(self, total: float = 0.0) -> None:
        self.total, self.done = total, 0.0
        self._left = 0.0  # of the task

    @contextmanager
    def task(self, name: str, work: float) -> Iterator[None]:
        """Do a part of the total.

        Args:
            name: what is done.
            work: expected work.
        """
        self._left = work
        self.describe(name)
        yield
        self.skip(self._left)

    def advance(self, amount: float) -> None:
        """Count work; beyond the expected, it raises the total."""
        self.done += amount
        self._left -= amount
        if self._left < 0:
            self.total -= self._left
            self._left = 0.0
        self.show()

    def skip(self, amount: float) -> None:
        """Leave out expected work that need not be done."""
        amount = min(amount, self._left)
        self._left -= amount
        self.total -= amount
        self.show()

    def describe(self, name: str) -> None:
        """Say what is done now."""

    def show(self) -> None:
        """Show `done` and `total`."""


class WorkBar(Progress):
    """Progress in one bar, with the remaining time.

    It assumes the mean speed so far.

    Args:
        title: label of the bar.
        total: expected work, in any unit; 0: no bar.
        shown: whether the bar is shown.

    Example:
        >>> with WorkBar("Probing", total=2.0, shown=False) as bar, bar.task("target", work=2.0):
        ...     bar.advance(2.0)
    """

    def __init__(self, title: str, total: float, shown: bool = True) -> None:
        super().__init__(total)
        self.bar = tqdm(
            total=total,
            desc=title,
            dynamic_ncols=True,
            file=sys.stderr,
            disable=not (shown and total > 0),
            mininterval=0.5,
            smoothing=0,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}{postfix}]",
        )

    def __enter__(self) -> "WorkBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.describe("")
        self.bar.close()

    def describe(self, name: str) -> None:
        """Name what is done now, behind the times."""
        self.bar.set_postfix_str(name, refresh=self.bar.is_drawn)

    def show(self) -> None:
        """Move the bar."""
        self.bar.total = max(self.total, self.done)
        self.bar.update(self.done - self.bar.n)


def _is_drawn(file: Any) -> bool:
    """Test whether bars are drawn: in a notebook or a terminal."""
    return auto_tqdm.__module__.endswith("notebook") or file.isatty()


@contextmanager
def progress_bars(shown: bool) -> Iterator[None]:
    """Show or hide all progress bars.

    Args:
        shown: whether they are shown; bars that are switched off outside remain so.
    """
    global _shown
    before = _shown
    _shown = before and shown
    try:
        yield
    finally:
        _shown = before
