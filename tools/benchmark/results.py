"""Results of measures: `benchmarks.json`, in which they are kept."""

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
    """What became of one measure.

    Attributes:
        status: whether it ended well.
        quick: whether it was a small one, which says that it works and little more.
        machine: that it ran on.
        seconds: that it took.
        error: its last line of complaint, where it failed.
        rows: its figures.
        curves: how points among them are drawn.
    """

    status: Literal["done", "failed"]
    quick: bool
    machine: str
    seconds: float
    error: str = ""
    rows: list[Row] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Result":
        """A result as `to_json` wrote it."""
        rows = [Row.of(row) for row in stored["rows"]]
        return cls(**{**stored, "rows": rows, "curves": [Curve(**one) for one in stored["curves"]]})

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def stands_for(self, quick: bool, machine: str) -> bool:
        """Whether there is nothing left to do."""
        return self.status == "done" and self.quick == quick and self.machine == machine


def write_answer(path: Path, rows: Sequence[Row], curves: Sequence[Curve]) -> None:
    """Write what a measure says, for the process that asked."""
    write_json(path, {"rows": [row.to_json() for row in rows], "curves": [asdict(one) for one in curves]})


def read_answer(path: Path) -> tuple[list[Row], list[Curve]]:
    """Read what `write_answer` wrote."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    return [Row.of(row) for row in stored["rows"]], [Curve(**one) for one in stored["curves"]]


def read(path: Path) -> dict[str, Result]:
    """Results by measure.

    Raises:
        InputError: there is no such file, or it is not one of these.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return {name: Result.of(one) for name, one in stored["measures"].items()}
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}; give the {FILE} that a run has left") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} holds no results of benchmarks; delete it, or give another file") from error


def write(folder: Path, results: Mapping[str, Result]) -> None:
    """Write `benchmarks.json`."""
    write_json(folder / FILE, {"schema": 1, "measures": {name: one.to_json() for name, one in results.items()}})
