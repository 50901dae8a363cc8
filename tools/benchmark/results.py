"""Results of measures, stored in `benchmarks.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_json
from tools.benchmark.rows import Curve, Row

FILE = "benchmarks.json"


@dataclass(frozen=True)
class Result:
    """Result of one measure.

    Attributes:
        status: `done` or `failed`.
        quick: small version, whose figures mean little.
        machine: machine that it ran on.
        seconds: duration.
        error: last line of the error output, if it failed.
        rows: figures.
        curves: figures to draw from the rows with a point.
    """

    status: Literal["done", "failed"]
    quick: bool
    machine: str
    seconds: float
    error: str = ""
    rows: list[Row] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Result":
        """Restore a result from `to_json`."""
        rows = [Row.from_json(row) for row in stored["rows"]]
        return cls(**{**stored, "rows": rows, "curves": [Curve(**curve) for curve in stored["curves"]]})

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values."""
        return asdict(self)

    def is_done(self, quick: bool, machine: str) -> bool:
        """Check that this result is complete for these conditions."""
        return self.status == "done" and self.quick == quick and self.machine == machine


def write_rows(path: Path, rows: Sequence[Row], curves: Sequence[Curve]) -> None:
    """Write a measure's rows and curves for the parent process."""
    write_json(path, {"rows": [row.to_json() for row in rows], "curves": [asdict(curve) for curve in curves]})


def read_rows(path: Path) -> tuple[list[Row], list[Curve]]:
    """Read the file written by `write_rows`."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    return [Row.from_json(row) for row in stored["rows"]], [Curve(**curve) for curve in stored["curves"]]


def read(path: Path) -> dict[str, Result]:
    """Read the results by measure.

    Raises:
        InputError: the file is missing or has another format.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return {name: Result.from_json(result) for name, result in stored["measures"].items()}
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}; give the {FILE} of a run") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} holds no benchmark results; delete it or give another file") from error


def write(folder: Path, results: Mapping[str, Result]) -> None:
    """Write `benchmarks.json`."""
    write_json(folder / FILE, {"schema": 1, "measures": {name: result.to_json() for name, result in results.items()}})
