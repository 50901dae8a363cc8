"""One grid, as it flows: plan, check, run what is not done, table, page."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pandas as pd
from tqdm import tqdm

from lightning_mia.audit.ablation.audit_options import AuditOptions, as_arguments
from lightning_mia.audit.ablation.cell import CellTask
from lightning_mia.audit.ablation.collect import rows_of
from lightning_mia.audit.ablation.grid import Cell, Grid, Plan
from lightning_mia.audit.ablation.plan import check_not_varied, find_base, plan_tasks
from lightning_mia.audit.shadow_models.train import check_executor, create_executor
from lightning_mia.audit.upload import ResultsUploader, files_of_grid
from lightning_mia.report.ablation.points import featured_attacks, over_seeds, points_of
from lightning_mia.report.ablation.record import GridRecord
from lightning_mia.report.ablation.results_csv import has_parquet, read_table, write_table
from lightning_mia.training.parallel.devices import worker_gpus
from lightning_mia.training.parallel.progress import JobsBar
from lightning_mia.training.parallel.scheduler import Executor, Failure, Lost, run_all
from lightning_mia.training.parallel.settings import ExecutorSettings
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.environment import hardware, versions
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import check_folder
from lightning_mia.utilities.stage import Stage


def run_cells(
    tasks: Sequence[CellTask], executor: Executor, retries: int, n_done: int, ended: Callable[[], None]
) -> list[Failure]:
    """Run the cells.

    Args:
        tasks: in the order in which they are begun, but for those that wait for a longer run.
        executor: does them.
        retries: how often a cell is begun again whose worker was killed.
        n_done: cells that were done by earlier starts, for the progress bar.
        ended: is called whenever a cell has ended.

    Returns:
        Cells that could not be finished; the reason names the log of one that has something to say in it.
    """
    if not tasks:
        return []

    def tell(failure: Failure | None) -> None:
        if failure:
            tqdm.write(f"{failure.job.name} failed: {_with_log(failure).reason}", file=sys.stderr)
        ended()

    with JobsBar("Cells", n_done + len(tasks), True, "cells") as bar, executor:
        bar.advance(n_done)
        after = {task.name: task.longer.task.name for task in tasks if task.longer}
        return [_with_log(failure) for failure in run_all(tasks, executor, retries, bar.advance, tell, after)]


def _with_log(failure: Failure) -> Failure:
    if not isinstance(failure.end, Lost) and failure.end.user_error:
        return failure
    return replace(failure, reason=f"{failure.reason}; see {cast(CellTask, failure.job).log}")


MAX_LINES = 20


def summary(table: pd.DataFrame, factors: Sequence[str]) -> str:
    """One line a point: the attack that does best over the grid, with its interval over seeds.

    Args:
        table: of the grid.
        factors: what is varied.
    """
    attack, level = featured_attacks(table, factors)[0]
    rows = table[(table["attack"] == attack) & (table["level"] == level)]
    points = points_of(rows, factors)
    names = [", ".join(f"{name} {label}" for name, label in zip(factors, point, strict=True)) for point in points]
    width = max(map(len, names))
    lines = [f"AUROC of {attack}, {level} level, mean over seeds"]
    for name, of_point in list(zip(names, points.values(), strict=True))[:MAX_LINES]:
        found = over_seeds(list(of_point["auroc"]), (0.0, 1.0))
        if found is None:
            continue
        interval = f" [{found.ci95[0]:.3f}, {found.ci95[1]:.3f}]" if found.ci95 else ""
        lines.append(f"  {name:<{width}}  {found.mean:.3f}{interval}")
    if len(names) > MAX_LINES:
        lines.append(f"  … {len(names) - MAX_LINES} more on the page")
    if (rows["trained_as"] != "").any():
        lines.append("cells of fewer epochs are checkpoints of longer runs, with their learning rates: see trained_as")
    return "\n".join(lines)


NOT_MIXED = ("lightning-mia", "torch", "torchaudio", "lightning", "transformers")
"""Packages whose versions have to be the same for all cells."""


@dataclass
class GridRun:
    """What is to be done in one folder; finishes what is missing and repeats nothing.

    Args:
        grid: as it was asked for.
        name: of the grid file.
        grid_file: the grid file, where there is one.
        root: folder of the grid.
        passed_on: arguments for the base config.
        command: the command line that repeats the grid.
        results_url: where results are copied to, if anywhere.
    """

    grid: Grid
    name: str
    grid_file: Path | None
    root: Path
    passed_on: Sequence[str] = ()
    command: str = ""
    results_url: str | None = None
    _rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict, init=False)

    def run(self, settings: ExecutorSettings, yes: bool = False) -> Path:
        """Run the cells that are not done, and write table and page.

        Args:
            settings: where cells are run, and how many at a time.
            yes: however many cells there are.

        Returns:
            The page.

        Raises:
            InputError: the grid cannot be run, or cells of it failed.
        """
        self._plan(yes)
        check_executor(settings)
        self.mirror = ResultsUploader(self.results_url, self.root) if self.results_url else None
        todo = [task for _, task in self.tasks if not task.done()]
        executor = create_executor(settings, min(settings.workers, len(todo)), self._gpus(settings), self.root)
        self._begin()
        failures: list[Failure] = []
        try:
            self._write_table()
            failures = run_cells(todo, executor, settings.retries, len(self.tasks) - len(todo), self._take_in)
        finally:  # an interrupted grid has a page too
            page = self._write_page(failures)
        self._copy_results(final=True)
        self._tell(page, failures)
        return page

    def _plan(self, yes: bool) -> None:
        """Check everything, and write nothing."""
        check_folder(self.root)
        self.plan = Plan(self.grid)
        self.plan.check_size(yes)
        check_not_varied(self.passed_on, self.plan)
        self.base = find_base(self.grid.base, self.grid_file)
        arguments = [*as_arguments(self.grid.options), *self.passed_on]
        audit = AuditOptions(self.base, arguments)
        base = audit.read({})
        self.trainer_options = audit.trainer_options()
        self.tasks: list[tuple[Cell, CellTask]] = plan_tasks(
            self.plan, audit, base, self.root / "base.yaml", arguments, self.root
        )
        made_with = {package: version for package, version in versions().items() if package in NOT_MIXED}
        self.stage = Stage(
            self.root,
            {"versions": made_with, "factors": list(self.plan.settings), "base": base.settings},
        )
        if self.stage.path.exists():
            self.stage.begin()
        elif self.root.is_dir() and (other := _other_run(self.root)):
            raise InputError(f"{self.root} holds {other}, which is no grid's; give another --run_dir")
        if (self.root / "results.csv").exists():
            read_table(self.root, list(self.plan.settings))

    def _gpus(self, settings: ExecutorSettings) -> list[str]:
        """GPUs over which several workers of this machine are spread."""
        devices, local = self.trainer_options.get("devices"), settings.engine == "local"
        if local and settings.workers == 1:
            return []
        if str(devices) not in ("1", "auto", "-1", "[0]"):
            several = f"--workers is {settings.workers}" if local else "--engine is ray"
            raise InputError(
                f"{several}, each with one cell on one device, but trainer.devices is {devices}; give "
                f"{'' if local else '--engine local '}--workers 1, or --trainer.devices 1"
            )
        return worker_gpus(TrainerFactory({"accelerator": self.trainer_options.get("accelerator")})) if local else []

    def _begin(self) -> None:
        self.stage.begin()
        copy = self.root / "base.yaml"
        if not (copy.exists() and copy.samefile(self.base)):
            shutil.copyfile(self.base, copy)
        self._write_record(())  # with it `lightning-mia report` makes a page of a grid that was killed

    def _take_in(self) -> None:
        """Do what is due when a cell has ended."""
        self._write_table()
        self._copy_results()

    def _copy_results(self, final: bool = False) -> None:
        if self.mirror:
            cells = [task.folder for cell, task in self.tasks if cell.name in self._rows]
            self.mirror.update(files_of_grid(self.root, cells), final)

    def _write_table(self) -> None:
        """Write the rows of all cells that are done."""
        for cell, task in self.tasks:
            if cell.name not in self._rows and task.done():
                self._rows[cell.name] = list(rows_of(cell, task.folder, self.root, task.trained_as))
        rows = [row for cell, _ in self.tasks for row in self._rows.get(cell.name, [])]
        if rows:
            write_table(pd.DataFrame(rows), self.root)

    def _write_record(self, failures: Sequence[Failure]) -> None:
        GridRecord(
            name=self.name,
            base=self.grid.base,
            factors={name: [one.label for one in settings] for name, settings in self.plan.settings.items()},
            options={name: sorted(_options(settings)) for name, settings in self.plan.settings.items()},
            seeds=list(self.plan.seeds),
            cells=[cell.name for cell, _ in self.tasks],
            failures={failure.job.name: failure.reason for failure in failures},
            command=self.command,
            versions=versions(),
            hardware=hardware(),
        ).write(self.root)

    def _write_page(self, failures: Sequence[Failure]) -> Path:
        from lightning_mia.report.ablation.html import write_page

        self._write_record(failures)
        return write_page(self.root)

    def _tell(self, page: Path, failures: Sequence[Failure]) -> None:
        if self._rows:
            print(summary(read_table(self.root, list(self.plan.settings)), list(self.plan.settings)))
            print(f"table: {self.root / 'results.csv'}")
        if not has_parquet():
            print("no results.parquet: that takes pyarrow (pip install lightning-mia[parquet])")
        print(f"page: {page}")
        if failures:
            named = list_first([f"{failure.job.name}: {failure.reason}" for failure in failures], limit=3)
            raise InputError(
                f"{len(failures)} of {len(self.tasks)} cells failed ({named}); mend that, and start the same command "
                "again to run them"
            )


def _options(settings: Sequence[Any]) -> Iterator[str]:
    yield from {option for setting in settings for option in setting.options}


def _other_run(root: Path) -> str | None:
    """What shows that a folder belongs to something else."""
    return next((name for name in ("split.csv", "target", "report", "shadows") if (root / name).exists()), None)
