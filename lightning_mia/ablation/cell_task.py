"""What is to be done for one cell of a grid: a whole audit, in a worker process, that says all it says into a file."""

import faulthandler
import gc
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

from lightning_mia.stage import Stage

LOG = "log.txt"


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
    """

    name: str
    folder: Path
    arguments: tuple[str, ...]
    settings: dict[str, Any]
    judging: str
    siblings: tuple[Path, ...] = ()

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

    def run(self, tell: Callable[[float], None]) -> None:
        """Run the audit; an interrupted one goes on where it stopped.

        Args:
            tell: is called with 1 when it is done.
        """
        from lightning_mia.audit_cli import run

        stage = self.stage.begin()
        self._take_over()
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
                for name in ("split.json", "split.csv"):  # last: with it the copy is whole
                    shutil.copyfile(sibling / name, self.folder / name)
                return


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
