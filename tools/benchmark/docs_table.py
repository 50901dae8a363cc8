"""The table of docs/benchmarks.md."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_text
from tools.benchmark.results import Result, read
from tools.benchmark.tables import markdown

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


def rewrite(page: Path, paths: Sequence[Path]) -> None:
    """Put the figures of some runs between the two markers of a page, and leave all else as it is.

    Args:
        page: the documentation's page.
        paths: `benchmarks.json` of runs, such as one on a CPU and one on a GPU.

    Raises:
        InputError: a file cannot be read or holds quick measures, which are no figures to publish; the page lacks a
            marker.
    """
    shown: dict[str, Result] = {}
    for path in paths:
        for name, result in read(path).items():
            if result.quick:
                raise InputError(f"{path} holds quick measures ({name}): give one of a run without --quick")
            shown[name] = _together(shown[name], result) if name in shown else result
    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InputError(f"{page} needs the lines {BEGIN} and {END}, once each, around its table; put them back")
    before, rest = text.split(BEGIN)
    lines = markdown({name: result for name, result in shown.items() if result.rows})
    write_text(page, "\n".join([before + BEGIN, *lines, END + rest.split(END)[1]]))


def _together(one: Result, other: Result) -> Result:
    """What another run says of devices, or of things, that the one does not know."""
    there = {(row.what, row.device) for row in one.rows}
    more = [row for row in other.rows if (row.what, row.device) not in there]
    return replace(one, rows=[*one.rows, *more], curves=one.curves or other.curves)
