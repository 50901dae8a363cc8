"""Progress bars: in a terminal or a notebook, and none where they are switched off."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

with warnings.catch_warnings():  # in a notebook without ipywidgets, which then has bars of text
    warnings.filterwarnings("ignore", "IProgress not found")
    from tqdm.auto import tqdm as auto_tqdm

_shown = True


class tqdm(auto_tqdm):  # noqa: N801 - a drop-in replacement
    """Bar of `tqdm.auto` that `progress_bars` can switch off.

    Example:
        >>> with progress_bars(shown=False):
        ...     total = sum(tqdm([1, 2, 3], desc="Adding"))
        >>> total
        6
    """

    def __init__(self, *args: Any, disable: bool | None = False, **kwargs: Any) -> None:
        super().__init__(*args, disable=disable if _shown else True, **kwargs)


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
