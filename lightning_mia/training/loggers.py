"""A user's loggers, with one run per training: target, wrong_model, shadow 3."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

OF_A_RUN = {"_experiment": None, "_run_id": None, "_initialized": False, "_attach_id": None, "_experiment_id": None}
"""Attributes that a logger has only once a run has begun, and their values before."""


@dataclass(frozen=True)
class LoggerRecipe:
    """Makes copies of a logger, one for each run.

    Copying a logger of Weights & Biases would begin a run, and a client of MLflow cannot be sent to another process, so
    the attributes are kept instead.

    Args:
        logger_class: class of the logger.
        attributes: its attributes before any run.

    Example:
        >>> from lightning.pytorch.loggers import CSVLogger
        >>> recipe = LoggerRecipe.of(CSVLogger("logs", name="mia"))
        >>> recipe.make("R", "shadow 3").version
        'R/shadow 3'
    """

    logger_class: type[Logger]
    attributes: Mapping[str, Any]

    @classmethod
    def of(cls, logger: Logger) -> "LoggerRecipe":
        """Describe a logger."""
        attributes = {
            name: OF_A_RUN.get(name, value) for name, value in vars(logger).items() if name != "_mlflow_client"
        }
        return cls(type(logger), attributes)

    def make(self, group: str, name: str) -> Logger:
        """Make a logger of one run.

        Args:
            group: name of the audit.
            name: name of the training.
        """
        attributes = {key: dict(value) if isinstance(value, dict) else value for key, value in self.attributes.items()}
        if "_version" in attributes:  # a folder: TensorBoardLogger, CSVLogger
            attributes["_version"] = os.path.join(str(attributes["_version"] or group), name)
        if "_wandb_init" in attributes:
            attributes["_wandb_init"] |= {"group": group, "name": name, "id": None}
            attributes |= {"_name": attributes["_wandb_init"].get("project"), "_id": None}
        if "_default_hp_metric" in attributes:
            attributes["_default_hp_metric"] = False  # a chart with the value −1, with which TensorBoard would open
        if "_tracking_uri" in attributes:  # its list of runs shows names, and no groups
            attributes |= {"_run_name": f"{group}/{name}", "tags": {**(attributes.get("tags") or {}), "group": group}}
        logger = self.logger_class.__new__(self.logger_class)
        vars(logger).update(attributes)
        if "_tracking_uri" in attributes:
            from mlflow.tracking import MlflowClient

            vars(logger)["_mlflow_client"] = MlflowClient(attributes["_tracking_uri"])
        return logger

    def __deepcopy__(self, memo: object) -> "LoggerRecipe":
        return self


def as_recipes(option: Any) -> Any:
    """Replace loggers in the Trainer's option `logger` by recipes."""
    if isinstance(option, Logger):
        return [LoggerRecipe.of(option)]
    if isinstance(option, Iterable) and not isinstance(option, str):
        return [LoggerRecipe.of(logger) if isinstance(logger, Logger) else logger for logger in option]
    return option


def make_loggers(option: Any, folder: Path) -> list[Logger]:
    """Make the user's loggers for the training or report in a folder.

    Args:
        option: the Trainer's option `logger`.
        folder: folder of the stage in the run directory.
    """
    recipes = option if isinstance(option, Sequence) else []
    return [recipe.make(*run_names(folder)) for recipe in recipes if isinstance(recipe, LoggerRecipe)]


def run_names(folder: Path) -> tuple[str, str]:
    """Name the audit and the stage of a folder.

    >>> run_names(Path("runs/R/target")), run_names(Path("runs/R/shadows/003"))
    (('R', 'target'), ('R', 'shadow 3'))
    """
    absolute = folder.absolute()
    if absolute.parent.name == "shadows" and absolute.name.isdecimal():
        return absolute.parents[1].name, f"shadow {int(absolute.name)}"
    return absolute.parent.name, absolute.name


def close(loggers: Iterable[Logger]) -> None:
    """End the runs of loggers, so that the next training begins its own."""
    for logger in loggers:
        logger.finalize("success")
        if "wandb" in sys.modules and hasattr(logger, "_wandb_init") and vars(logger).get("_experiment"):
            logger.experiment.finish()  # type: ignore[attr-defined]
