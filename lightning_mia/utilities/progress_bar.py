"""Progress bars: in a terminal or a notebook, lines in a log, and none where they are switched off."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
