"""What is to be done for one cell of a grid: a whole audit, in a worker process, that says all it says into a file."""

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
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path, fresh_folder, write_json
from lightning_mia.utilities.stage import Stage

LOG = "log.txt"
TAKEN = "longer_run.json"


@dataclass(frozen=True)
class CellTask:
    """One cell; can be handed to another process.

    Attributes:
        name: of the cell.
        folder: run directory of its audit.
        arguments: of the audit.
        settings: everything that changes what is trained.
        judging: hash of everything that is asked of what was trained.
        siblings: folders of cells that train the very same models, and are asked something else.
        longer: the cell whose checkpoints the models of this one are; None: they are trained for it.
    """

    name: str
    folder: Path
    arguments: tuple[str, ...]
    settings: dict[str, Any]
    judging: str
    siblings: tuple[Path, ...] = ()
    longer: "LongerRun | None" = None

    @property
    def stage(self) -> Stage:
        """What the folder was made from."""
        return Stage(self.folder, self.settings)

    @property
    def results(self) -> Path:
        """What the audit leaves."""
        return self.folder / "report" / "results.json"

    @property
    def log(self) -> Path:
        """Everything that the audit said."""
        return self.folder / LOG

    def done(self) -> bool:
        """Whether nothing is left to be done.

        Raises:
            InputError: the folder was made by other settings, or its description is damaged.
        """
        stage = self.stage
        if not stage.path.exists():
            return False
        record = stage.begin().record
        return record is not None and record.get("judging") == self.judging and self.results.is_file()

    @property
    def trained_as(self) -> str:
        """Which checkpoint of which cell the target is; empty: it was trained to its own length."""
        return self.longer.label(self.folder) if self.longer else ""

    def run(self, tell: Callable[[float], None]) -> None:
        """Run the audit; an interrupted one goes on where it stopped.

        Args:
            tell: is called with 1 when it is done.
        """
        from lightning_mia.audit.commands import run

        stage = self.stage.begin()
        self._take_over()
        if self.longer:
            self.longer.hand_over(self.folder)
        with _said_into(self.log):
            try:
                run(list(self.arguments))
            except Exception:
                traceback.print_exc()
                raise
            finally:
                gc.collect()  # Trainers and models refer to each other
        stage.finish({"judging": self.judging})
        tell(1.0)

    def _take_over(self) -> None:
        """Copy models that a finished cell trained by the same settings; the audit checks that they are the same."""
        if (self.folder / "split.csv").exists():
            return
        for sibling in self.siblings:
            stage = Stage(sibling, self.settings)
            if stage.path.exists() and stage.begin().done:
                for name in ("target", "wrong_model", "untrained", "shadows", "probes"):
                    if (sibling / name).is_dir():
                        shutil.copytree(sibling / name, self.folder / name, dirs_exist_ok=True)
                if (sibling / TAKEN).exists():
                    shutil.copyfile(sibling / TAKEN, self.folder / TAKEN)
                for name in ("split.json", "split.csv"):  # last: with it the copy is whole
                    shutil.copyfile(sibling / name, self.folder / name)
                return


@dataclass(frozen=True)
class LongerRun:
    """The cell whose checkpoints are the models of a shorter one.

    Every training of the shorter cell begins where the longer one's stood after so many epochs, which is its end: the
    way in which an interrupted training goes on. What the longer run did not keep is trained anew, in the same way.

    Attributes:
        task: the longer cell.
        source: which checkpoint.
    """

    task: CellTask
    source: Source

    def hand_over(self, folder: Path) -> None:
        """Copy the checkpoints that the shorter cell has not begun without.

        Args:
            folder: of the shorter cell.

        Raises:
            InputError: the longer cell is not done.
        """
        if not self.task.done():
            raise InputError(f"its longer run {self.task.name} is not done: mend that one first")
        untrained = folder / "untrained"  # the same whatever the length
        if not untrained.exists() and (self.task.folder / "untrained").exists():
            with fresh_folder(untrained) as fresh:
                shutil.copytree(self.task.folder / "untrained", fresh, dirs_exist_ok=True)
        taken = _read_taken(folder)
        for kept in sorted(self.task.folder.rglob(kept_checkpoint(Path(), self.source.epochs).name)):
            training = kept.parent.relative_to(self.task.folder)
            if not (folder / training / "stage.json").exists():
                with atomic_path(folder / training / "last.ckpt") as temporary:
                    shutil.copyfile(kept, temporary)
                taken = sorted({*taken, training.as_posix()})
                write_json(folder / TAKEN, {"cell": self.task.name, "trainings": taken})

    def label(self, folder: Path) -> str:
        """Such as "epoch 5 of 20 of size=100,epochs=20/seed=1", where the target of the folder was handed over."""
        taken = "target" in _read_taken(folder)
        return f"{self.source.label} of {self.task.name}" if taken else f"{self.source.label}, trained for this cell"


def _read_taken(folder: Path) -> list[str]:
    """Trainings of a cell that were handed over."""
    path = folder / TAKEN
    try:
        taken: list[str] = json.loads(path.read_text(encoding="utf-8"))["trainings"] if path.exists() else []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged; delete {folder} and start again") from error
    return taken


@contextmanager
def _said_into(path: Path) -> Iterator[None]:
    """Send what this process and the libraries in it say, and where it was when it crashed, to a file."""
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


def folder_of(cell: Cell, root: Path) -> Path:
    """Run directory of a cell's audit."""
    return root / "cells" / cell.name
