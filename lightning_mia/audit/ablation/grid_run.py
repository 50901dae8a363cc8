"""Run a grid: check all cells, run unfinished ones, report."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pandas as pd

from lightning_mia.audit.ablation.audit_options import OptionsReader, as_arguments
from lightning_mia.audit.ablation.cell import CellTask
from lightning_mia.audit.ablation.collect import collect_rows
from lightning_mia.audit.ablation.grid import Cell, Grid, Plan
from lightning_mia.audit.ablation.plan import check_passed_on, find_base, plan_tasks
from lightning_mia.audit.shadow_models.run_jobs import check_executor, create_executor
from lightning_mia.audit.upload import ResultsUploader, grid_files
from lightning_mia.report.ablation.points import featured_attacks, rows_by_point, seed_mean
from lightning_mia.report.ablation.record import GridRecord
from lightning_mia.report.ablation.results_csv import has_parquet, read_table, write_table
from lightning_mia.training.parallel.devices import settle_workers, worker_gpus
from lightning_mia.training.parallel.job_progress import JobsBar
from lightning_mia.training.parallel.scheduler import Executor, Failure, Lost, run_all
from lightning_mia.training.parallel.settings import ExecutorSettings
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.credentials import without_credentials
from lightning_mia.utilities.environment import hardware, result_versions, versions
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import check_folder, write_text
from lightning_mia.utilities.progress_bar import tqdm
from lightning_mia.utilities.run_lock import locked
from lightning_mia.utilities.stage import Stage

MAX_LINES = 20
"""Maximum number of points in the summary; the page has all."""


def run_cells(
    tasks: Sequence[CellTask], executor: Executor, retries: int, n_done: int, on_end: Callable[[], None]
) -> list[Failure]:
    """Run the unfinished cells.

    Args:
        tasks: tasks, in the order in which they start; those that use checkpoints of a longer run wait for it.
        executor: runs the tasks.
        retries: restarts of a cell whose worker was killed.
        n_done: cells finished earlier, for the progress bar.
        on_end: called after each cell.

    Returns:
        The failed cells; their reasons name the log, unless they are invalid input.
    """
    if not tasks:
        return []

    def report(failure: Failure | None) -> None:
        if failure:
            tqdm.write(f"{failure.job.name} failed: {_with_log(failure).reason}", file=sys.stderr)
        on_end()

    with JobsBar("Cells", n_done + len(tasks), True, "cells") as bar, executor:
        bar.advance(n_done)
        after = {task.name: task.longer.task.name for task in tasks if task.longer}
        return [_with_log(failure) for failure in run_all(tasks, executor, retries, bar.advance, report, after)]


def _with_log(failure: Failure) -> Failure:
    if not isinstance(failure.end, Lost) and failure.end.user_error:
        return failure
    return replace(failure, reason=f"{failure.reason}; see {cast(CellTask, failure.job).log}")


def summary(table: pd.DataFrame, factors: Sequence[str]) -> str:
    """Return the strongest attack's AUROC, one line per point.

    Args:
        table: results table of the grid.
        factors: names of the factors.
    """
    attack, level = featured_attacks(table, factors)[0]
    rows = table[(table["attack"] == attack) & (table["level"] == level)]
    points = rows_by_point(rows, factors)
    names = [", ".join(f"{name} {label}" for name, label in zip(factors, point, strict=True)) for point in points]
    width = max(map(len, names))
    lines = [f"AUROC of {attack}, {level} level, mean over seeds"]
    for name, point_rows in list(zip(names, points.values(), strict=True))[:MAX_LINES]:
        auroc = seed_mean(list(point_rows["auroc"]), (0.0, 1.0))
        if auroc is None:
            continue
        interval = f" [{auroc.ci95[0]:.3f}, {auroc.ci95[1]:.3f}]" if auroc.ci95 else ""
        lines.append(f"  {name:<{width}}  {auroc.mean:.3f}{interval}")
    if len(names) > MAX_LINES:
        lines.append(f"  … {len(names) - MAX_LINES} more on the page")
    if (rows["trained_as"] != "").any():
        lines.append("shorter cells use checkpoints of longer runs, with their learning-rate schedules: see trained_as")
    return "\n".join(lines)


@dataclass
class GridRun:
    """One run of a grid; finished cells are not repeated.

    Args:
        grid: the grid.
        name: name of the grid file.
        grid_file: the grid file, if any.
        root: folder of the grid.
        passed_on: arguments for the base config.
        command: command line that repeats the grid.
        results_url: destination of a copy of the results, if any.
        results_names: whether the copy may name recordings, speakers and folders.
    """

    grid: Grid
    name: str
    grid_file: Path | None
    root: Path
    passed_on: Sequence[str] = ()
    command: str = ""
    results_url: str | None = None
    results_names: bool = False
    _rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict, init=False)

    def run(self, settings: ExecutorSettings, yes: bool = False) -> Path:
        """Run the unfinished cells, and write table and page.

        Args:
            settings: executor of the cells.
            yes: run a grid of any size.

        Returns:
            The path of the page.

        Raises:
            InputError: the grid is invalid, or cells failed.
        """
        self._plan(yes)
        trainers = TrainerFactory({"accelerator": self.trainer_options.get("accelerator"), "devices": 1})
        settings = settle_workers(settings, trainers, 0)
        check_executor(settings)
        with locked(self.root):
            return self._run(settings)

    def _run(self, settings: ExecutorSettings) -> Path:
        self.uploader = ResultsUploader(self.results_url, self.root, self.results_names) if self.results_url else None
        unfinished = [task for _, task in self.tasks if not task.done()]
        executor = create_executor(settings, min(settings.n_workers, len(unfinished)), self._gpus(settings), self.root)
        self._begin()
        failures: list[Failure] = []
        try:
            self._write_table()
            n_done = len(self.tasks) - len(unfinished)
            failures = run_cells(unfinished, executor, settings.retries, n_done, self._collect)
        finally:  # interrupted grids get a page as well
            page = self._write_page(failures)
        self._copy_results(final=True)
        self._print_outcome(page, failures)
        return page

    def _plan(self, yes: bool) -> None:
        """Check everything without writing anything."""
        check_folder(self.root)
        self.plan = Plan(self.grid)
        self.plan.check_size(yes)
        check_passed_on(self.passed_on, self.plan)
        self.base = find_base(self.grid.base, self.grid_file)
        arguments = [*as_arguments(self.grid.options), *self.passed_on]
        reader = OptionsReader(self.base, arguments)
        base = reader.read({})
        self.trainer_options = reader.trainer_options()
        self.tasks: list[tuple[Cell, CellTask]] = plan_tasks(
            self.plan, reader, base, self._base_of_cells(), arguments, self.root
        )
        self.stage = Stage(
            self.root,
            {"versions": result_versions(), "factors": list(self.plan.settings), "base": base.settings},
        )
        if self.stage.path.exists():
            self.stage.begin()
        elif self.root.is_dir() and (other := _other_run(self.root)):
            raise InputError(f"{self.root} contains {other}, so it belongs to another run; give another --run_dir")
        if (self.root / "results.csv").exists():
            read_table(self.root, list(self.plan.settings))

    def _base_of_cells(self) -> Path:
        """Return the copy of the base config, which later changes do not affect.

        The original if it contains credentials, which the copy lacks.
        """
        text = re.sub(r"(?m)^results_url:.*$", "", self.base.read_text(encoding="utf-8"))  # the cells upload nothing
        return self.root / "base.yaml" if without_credentials(text) == text else self.base.absolute()

    def _gpus(self, settings: ExecutorSettings) -> list[str]:
        """List the GPUs over which local workers are distributed."""
        devices, local = self.trainer_options.get("devices"), settings.engine == "local"
        if local and settings.n_workers == 1:
            return []
        if str(devices) not in ("1", "auto", "-1", "[0]"):
            workers = f"--workers is {settings.n_workers}" if local else "--engine is ray"
            raise InputError(
                f"{workers}, with one device per cell, but trainer.devices is {devices}; give "
                f"{'' if local else '--engine local '}--workers 1, or --trainer.devices 1"
            )
        return worker_gpus(TrainerFactory({"accelerator": self.trainer_options.get("accelerator")})) if local else []

    def _begin(self) -> None:
        self.stage.begin()
        copy = self.root / "base.yaml"
        if not (copy.exists() and copy.samefile(self.base)):
            write_text(copy, without_credentials(self.base.read_text(encoding="utf-8")))
        self._write_record(())  # lets `lightning-mia report` render the page of a killed grid

    def _collect(self) -> None:
        """Update the table and the uploaded copy after a cell."""
        self._write_table()
        self._copy_results()

    def _copy_results(self, final: bool = False) -> None:
        if self.uploader:
            cells = [task.folder for cell, task in self.tasks if cell.name in self._rows]
            self.uploader.update(grid_files(self.root, cells, self.results_names), final)

    def _write_table(self) -> None:
        """Write the rows of all finished cells."""
        for cell, task in self.tasks:
            if cell.name not in self._rows and task.done():
                self._rows[cell.name] = list(collect_rows(cell, task.folder, self.root, task.trained_as))
        rows = [row for cell, _ in self.tasks for row in self._rows.get(cell.name, [])]
        if rows:
            write_table(pd.DataFrame(rows), self.root)

    def _write_record(self, failures: Sequence[Failure]) -> None:
        GridRecord(
            name=self.name,
            base=self.grid.base,
            factors={name: [setting.label for setting in settings] for name, settings in self.plan.settings.items()},
            options={name: sorted(_options(settings)) for name, settings in self.plan.settings.items()},
            seeds=list(self.plan.seeds),
            cells=[cell.name for cell, _ in self.tasks],
            failures={failure.job.name: failure.reason for failure in failures},
            command=self.command,
            versions=versions(),
            hardware=hardware(),
        ).write(self.root)

    def _write_page(self, failures: Sequence[Failure]) -> Path:
        from lightning_mia.report.ablation.grid_page import write_page

        self._write_record(failures)
        return write_page(self.root)

    def _print_outcome(self, page: Path, failures: Sequence[Failure]) -> None:
        if self._rows:
            print(summary(read_table(self.root, list(self.plan.settings)), list(self.plan.settings)))
            print(f"table: {self.root / 'results.csv'}")
        if not has_parquet():
            print("no results.parquet: requires pyarrow (pip install pyarrow)")
        print(f"page: {page}")
        if failures:
            reasons = list_first([f"{failure.job.name}: {failure.reason}" for failure in failures], limit=3)
            raise InputError(
                f"{len(failures)} of {len(self.tasks)} cells failed ({reasons}); fix that, then run the same command "
                "again to run them"
            )


def _options(settings: Sequence[Any]) -> Iterator[str]:
    yield from {option for setting in settings for option in setting.options}


def _other_run(root: Path) -> str | None:
    """Return a file or folder of another kind of run."""
    return next((name for name in ("split.csv", "target", "report", "shadows") if (root / name).exists()), None)
