"""The table of docs/benchmarks.md."""

from collections.abc import Sequence
from pathlib import Path

from lightning_mia.errors import InputError
from lightning_mia.files import write_text
from tools.benchmark.results import COMMAND, read
from tools.benchmark.rows import Row, table

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
    rows: dict[str, list[Row]] = {}
    for path in paths:
        for name, result in read(path).items():
            if result.quick:
                raise InputError(
                    f"{path} holds quick measures ({name}): run them without --quick for the documentation"
                )
            there = {(row.what, row.device) for row in rows.get(name, [])}
            rows.setdefault(name, []).extend(row for row in result.rows if (row.what, row.device) not in there)
    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InputError(f"{page} needs the lines {BEGIN} and {END}, once each, around its table; put them back")
    before, rest = text.split(BEGIN)
    lines = table({name: of_measure for name, of_measure in rows.items() if of_measure}, COMMAND)
    write_text(page, "\n".join([before + BEGIN, *lines, END + rest.split(END)[1]]))
