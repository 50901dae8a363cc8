"""Table of docs/benchmarks.md."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_text
from tools.benchmark.results import Result, read
from tools.benchmark.tables import markdown

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


def rewrite(page: Path, paths: Sequence[Path]) -> None:
    """Replace the table between the two markers of a page.

    Args:
        page: documentation page.
        paths: `benchmarks.json` of one or more runs, such as one on a CPU and one on a GPU.

    Raises:
        InputError: a file is unreadable or holds results of `--quick`; the page lacks a marker.
    """
    shown: dict[str, Result] = {}
    for path in paths:
        for name, result in read(path).items():
            if result.quick:
                raise InputError(f"{path} holds quick measures ({name}); give results of a run without --quick")
            shown[name] = _merge(shown[name], result) if name in shown else result
    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InputError(f"{page} needs the lines {BEGIN} and {END}, once each, around the table; restore them")
    before, rest = text.split(BEGIN)
    lines = markdown({name: result for name, result in shown.items() if result.rows})
    write_text(page, "\n".join([before + BEGIN, *lines, END + rest.split(END)[1]]))


def _merge(first: Result, second: Result) -> Result:
    """Add the rows that only the second run has."""
    present = {(row.what, row.device) for row in first.rows}
    missing = [row for row in second.rows if (row.what, row.device) not in present]
    return replace(first, rows=[*first.rows, *missing], curves=first.curves or second.curves)
