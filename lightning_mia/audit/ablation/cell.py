"""Task of one cell: an audit in a worker process."""

import faulthandler
import gc
import json
import logging
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_mia.audit.ablation.grid import Cell
from lightning_mia.audit.ablation.shared_runs import Source
from lightning_mia.training.intermediate_checkpoints import kept_checkpoint
from lightning_mia.utilities.credentials import without_credentials
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path, fresh_folder, write_json
from lightning_mia.utilities.stage import Stage

LOG = "log.txt"
COPIED = "longer_run.json"


@dataclass(frozen=True)
class CellTask:
    """One cell, picklable.

    Attributes:
        name: name of the cell.
        folder: run directory of its audit.
        arguments: arguments of the audit.
        settings: options that change what is trained.
        evaluation: hash of the options that change only the evaluation.
        siblings: folders of cells that train the same models, but evaluate them differently.
        longer: longer cell whose checkpoints are the models; None: they are trained.
    """

    name: str
    folder: Path
    arguments: tuple[str, ...]
    settings: dict[str, Any]
    evaluation: str
    siblings: tuple[Path, ...] = ()
    longer: "SharedRun | None" = None

    @property
    def stage(self) -> Stage:
        """Stage of the folder: its settings and hash."""
        return Stage(self.folder, self.settings)

    @property
    def results(self) -> Path:
        """Results of the audit."""
        return self.folder / "report" / "results.json"

    @property
    def log(self) -> Path:
        """Output of the audit."""
        return self.folder / LOG

    def done(self) -> bool:
        """Whether the audit is finished.

        Raises:
            InputError: the folder was created with different settings, or its record is damaged.
        """
        stage = self.stage
        if not stage.path.exists():
            return False
        record = stage.begin().record
        return record is not None and record.get("judging") == self.evaluation and self.results.is_file()

    @property
    def trained_as(self) -> str:
        """Checkpoint that serves as the target; empty if trained."""
        return self.longer.label(self.folder) if self.longer else ""

    def run(self, report: Callable[[float], None]) -> None:
        """Run the audit, or resume an interrupted one.

        Args:
            report: called with 1 when the audit is done.
        """
        from lightning_mia.audit.commands import run

        stage = self.stage.begin()
        self._copy_from_sibling()
        if self.longer:
            self.longer.copy_checkpoints(self.folder)
        with _output_to(self.log):
            try:
                run(list(self.arguments))
            except Exception:
                print(without_credentials(traceback.format_exc()), file=sys.stderr)
                raise
            finally:
                gc.collect()  # Trainers and models refer to each other
        stage.finish({"judging": self.evaluation})
        report(1.0)

    def _copy_from_sibling(self) -> None:
        """Copy the models of a finished sibling, if any."""
        if (self.folder / "split.csv").exists():
            return
        for sibling in self.siblings:
            stage = Stage(sibling, self.settings)
            if stage.path.exists() and stage.begin().done:
                for name in ("target", "wrong_model", "untrained", "shadows", "probes"):
                    if (sibling / name).is_dir():
                        shutil.copytree(sibling / name, self.folder / name, dirs_exist_ok=True)
                if (sibling / COPIED).exists():
                    shutil.copyfile(sibling / COPIED, self.folder / COPIED)
                for name in ("split.json", "split.csv"):  # last: it marks a complete copy
                    shutil.copyfile(sibling / name, self.folder / name)
                return


@dataclass(frozen=True)
class SharedRun:
    """Longer cell whose checkpoints a shorter one uses.

    Each training run of the shorter cell resumes from the checkpoint of the longer one, and ends at once. A model whose
    checkpoint the longer cell did not keep is trained again with the same settings.

    Attributes:
        task: the longer cell.
        source: the checkpoint.
    """

    task: CellTask
    source: Source

    def copy_checkpoints(self, folder: Path) -> None:
        """Copy checkpoints for training runs that have not started.

        Args:
            folder: folder of the shorter cell.

        Raises:
            InputError: the longer cell is not done.
        """
        if not self.task.done():
            raise InputError(f"it uses checkpoints of cell {self.task.name}, which is not done; fix that cell first")
        untrained = folder / "untrained"  # independent of the number of epochs
        if not untrained.exists() and (self.task.folder / "untrained").exists():
            with fresh_folder(untrained) as fresh:
                shutil.copytree(self.task.folder / "untrained", fresh, dirs_exist_ok=True)
        copied = _read_copied(folder)
        for kept in sorted(self.task.folder.rglob(kept_checkpoint(Path(), self.source.epochs).name)):
            training = kept.parent.relative_to(self.task.folder)
            if not (folder / training / "stage.json").exists():
                with atomic_path(folder / training / "last.ckpt") as temporary:
                    shutil.copyfile(kept, temporary)
                copied = sorted({*copied, training.as_posix()})
                write_json(folder / COPIED, {"cell": self.task.name, "trainings": copied})

    def label(self, folder: Path) -> str:
        """Return a label: "epoch 5 of 20 of size=100,epochs=20/seed=1"."""
        is_copy = "target" in _read_copied(folder)
        return f"{self.source.label} of {self.task.name}" if is_copy else f"{self.source.label}, trained for this cell"


def _read_copied(folder: Path) -> list[str]:
    """List the copied training runs of a cell."""
    path = folder / COPIED
    try:
        copied = json.loads(path.read_text(encoding="utf-8"))["trainings"] if path.exists() else []
        if not isinstance(copied, list) or not all(isinstance(name, str) for name in copied):
            raise TypeError("unexpected types")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is damaged; delete {folder} and run the same command again") from error
    return copied


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Redirect output and crash traces to a file."""
    log = logging.getLogger("lightning_mia")
    handlers = log.handlers
    sys.stdout.flush()
    sys.stderr.flush()
    before = os.dup(1), os.dup(2)
    with open(path, "a", encoding="utf-8", buffering=1) as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        faulthandler.enable(file)
        log.handlers = [logging.StreamHandler(file)]
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            faulthandler.disable()
            log.handlers = handlers
            for descriptor, saved in zip((1, 2), before, strict=True):
                os.dup2(saved, descriptor)
                os.close(saved)


def cell_folder(cell: Cell, root: Path) -> Path:
    """Return the run directory of a cell."""
    return root / "cells" / cell.name
