"""Progress: bars in a terminal or a notebook, lines in a log, nothing where it is switched off."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SECONDS_BETWEEN_LINES = 30.0
"""Time between two lines of progress where the output is no terminal."""

_shown = True


def progress_bar(*arguments: Any, **options: Any) -> Any:
    """Make a progress bar; without a terminal, it prints a line every 30 s.

    Notebooks get the bar of their own, or one of text, without ipywidgets. `progress_bars` switches bars off.

    Args:
        arguments: positional arguments of tqdm.
        options: options of tqdm.

    >>> with progress_bars(shown=False):
    ...     sum(progress_bar([1, 2, 3], desc="Adding"))
    6
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")
        from tqdm.auto import tqdm

    if not _shown:
        options["disable"] = True
    stream = options.get("file") or sys.stderr
    if tqdm.__module__.endswith("notebook") or stream.isatty():
        return tqdm(*arguments, **options)
    return _line_printer()(*arguments, **options)


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


def _line_printer() -> Any:
    from tqdm import tqdm

    class ProgressLines(tqdm):
        """A bar whose states are lines of a log."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            options |= {"mininterval": SECONDS_BETWEEN_LINES, "maxinterval": 2 * SECONDS_BETWEEN_LINES}
            options |= {"miniters": 1, "ncols": 79, "dynamic_ncols": False, "ascii": True, "leave": True}
            options["delay"] = max(options.get("delay", 0), SECONDS_BETWEEN_LINES)  # short work prints nothing
            options.setdefault("file", sys.stderr)
            super().__init__(*arguments, **options)

        @staticmethod
        def status_printer(file: Any) -> Callable[[str], None]:
            def print_line(text: str) -> None:
                if text.strip():
                    file.write(f"{text.strip()}\n")
                    file.flush()

            return print_line

        def moveto(self, n: int) -> None:
            """Stay on the line: nothing moves up in a log."""

    return ProgressLines
