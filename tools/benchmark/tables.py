"""Results of measures as Markdown and CSV tables."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from lightning_mia.utilities.files import write_text
from tools.benchmark.results import Result
from tools.benchmark.rows import Row, number

HEADING = ["command", "what", "device", "value", "peer", "ratio", "note"]
COMMAND = "`python tools/benchmark {name}`"


def write(folder: Path, results: Mapping[str, Result]) -> None:
    """Write `benchmarks.csv` and `benchmarks.md`."""
    write_text(folder / "benchmarks.csv", as_csv(results))
    failed = [f"- `{name}` failed: {result.error}" for name, result in results.items() if result.status == "failed"]
    quick = any(result.quick for result in results.values())
    warning = ["Small versions (`--quick`): a check that everything works, not a benchmark.", ""] if quick else []
    lines = ["# Benchmarks", "", *warning, *markdown(results), *([""] if failed else []), *failed]
    write_text(folder / "benchmarks.md", "\n".join(lines) + "\n")


def markdown(results: Mapping[str, Result]) -> list[str]:
    """Make a table with one row per figure and curve."""
    lines = [_line(HEADING), "|" + "---|" * len(HEADING)]
    for name, result in results.items():
        command = COMMAND.format(name=name)
        for cells in [*(_figure_cells(row) for row in result.rows if not row.point), *_curve_cells(result)]:
            lines.append(_line([command, *cells]))
            command = ""
    return lines


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _figure_cells(row: Row) -> list[str]:
    peer = f"{row.peer}: {number(row.peer_value)}" if row.peer_value is not None else row.peer
    value = f"{number(row.value)} {row.unit}".strip() if row.value is not None else number(None)
    return [row.what, row.device, value, peer, row.ratio_text, row.note]


def _curve_cells(result: Result) -> Iterator[list[str]]:
    """Make one row per line, `x: value` for each point."""
    for curve in result.curves:
        lines: dict[tuple[str, str], list[Row]] = {}
        for row in result.rows:
            if row.point and row.point.curve == curve.name:
                lines.setdefault((row.point.line, row.device), []).append(row)
        for (line, device), rows in lines.items():
            values = ", ".join(f"{row.point.x:,g}: {number(row.value)}" for row in rows if row.point)
            yield [f"{line}: {curve.up} by {curve.across}", device, values, "", "", ""]


def as_csv(results: Mapping[str, Result]) -> str:
    """Make a CSV table with points in separate columns."""
    lines = []
    for name, result in results.items():
        for row in result.rows:
            values = {**row.to_json(), "curve": "", "line": "", "x": "", **(asdict(row.point) if row.point else {})}
            del values["point"]
            lines.append({"name": name, **values})
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]) if lines else ["name"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
