"""Record of a grid: factors, failures, reproduction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightning_mia.report.ablation.labels import Label
from lightning_mia.utilities.credentials import strip_credentials
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_json


@dataclass(frozen=True)
class GridRecord:
    """Content of `grid.json`; with `results.csv`, all that the page needs.

    Attributes:
        name: of the grid file.
        base: name of the base config.
        factors: factor → its labels, in the order of the grid file.
        options: factor → the dotted options that it sets.
        seeds: all seeds.
        cells: names of all cells.
        failures: cell → reason of its last failure.
        command: command line that repeats or completes the grid.
        versions: of Python and packages.
        hardware: processor, accelerator, memory.
    """

    name: str
    base: str
    factors: Mapping[str, Sequence[Label]]
    options: Mapping[str, Sequence[str]]
    seeds: Sequence[int]
    cells: Sequence[str]
    failures: Mapping[str, str]
    command: str
    versions: Mapping[str, str]
    hardware: Mapping[str, Any]

    def write(self, root: Path) -> None:
        """Write `grid.json`, without credentials."""
        write_json(root / "grid.json", strip_credentials(asdict(self)))

    @staticmethod
    def read(root: Path) -> "GridRecord":
        """Read `grid.json`.

        Raises:
            InputError: it is missing or damaged.
        """
        path = root / "grid.json"
        try:
            record = GridRecord(**json.loads(path.read_text(encoding="utf-8")))
            assert all(isinstance(value, list) for value in (record.cells, record.seeds, *record.factors.values()))
        except (OSError, ValueError, TypeError, AssertionError, AttributeError, RecursionError) as error:
            raise InputError(f"{path} is missing or damaged; start `lightning-mia ablate` again") from error
        return record
