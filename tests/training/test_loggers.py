"""Loggers of the user: one run per training, in this process and in workers."""

import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_mia.training.loggers import LoggerRecipe, as_recipes, close, run_names
from lightning_mia.training.trainer_factory import TrainerFactory


def factory(tmp_path: Path) -> TrainerFactory:
    loggers = [CSVLogger(tmp_path / "csv", name="mia"), TensorBoardLogger(tmp_path / "tb", name="mia", version="v2")]
    return TrainerFactory({"max_epochs": 1, "accelerator": "cpu", "logger": loggers})


@pytest.mark.parametrize("pickled", [False, True])
def test_each_training_has_a_run_of_its_own(tmp_path: Path, pickled: bool) -> None:
    trainers = factory(tmp_path)
    if pickled:  # as for a worker
        trainers = pickle.loads(pickle.dumps(trainers))
    for stage, name in (("target", "target"), ("wrong_model", "wrong_model"), ("shadows/003", "shadow 3")):
        csv, tensorboard = trainers.for_training(tmp_path / "R" / stage, stage, []).loggers
        assert Path(csv.log_dir) == tmp_path / "csv" / "mia" / "R" / name
        assert Path(tensorboard.log_dir) == tmp_path / "tb" / "mia" / "v2" / name
        csv.log_metrics({"train/loss": 1.0}, step=0)
        close([csv, tensorboard])
        assert (Path(csv.log_dir) / "metrics.csv").read_text().splitlines() == ["step,train/loss", "0,1.0"]


def test_loggers_do_not_change_the_stage(tmp_path: Path) -> None:
    assert factory(tmp_path).fingerprint() == TrainerFactory({"max_epochs": 1}).fingerprint()


@pytest.mark.parametrize("option", [None, True, False])
def test_without_a_logger_of_the_user_there_is_no_recipe(option: bool | None) -> None:
    assert as_recipes(option) is option


class Online(Logger):
    """A logger like that of Weights & Biases, which begins a run when it is copied or pickled."""

    name = version = "online"

    def __init__(self) -> None:
        super().__init__()
        self._wandb_init = {"project": "mia", "id": "of the user"}
        self._name, self._experiment = "mia", None

    def __getstate__(self) -> dict[str, object]:
        raise AssertionError("began a run")

    def log_metrics(self, *_: object, **__: object) -> None: ...
    def log_hyperparams(self, *_: object, **__: object) -> None: ...


def test_no_run_begins_before_its_training() -> None:
    recipe = pickle.loads(pickle.dumps(LoggerRecipe.of(Online())))
    made = recipe.make("R", "target")
    assert made._wandb_init == {"project": "mia", "group": "R", "name": "target", "id": None}
    assert recipe.make("R", "shadow 0")._wandb_init["name"] == "shadow 0"


class Tracking(Logger):
    """A logger like that of MLflow, without its client."""

    name = version = "tracking"

    def __init__(self) -> None:
        super().__init__()
        self._tracking_uri, self._run_name, self.tags = "sqlite:///x.db", None, {"owner": "Ann"}

    def log_metrics(self, *_: object, **__: object) -> None: ...
    def log_hyperparams(self, *_: object, **__: object) -> None: ...


def test_runs_of_several_audits_have_different_names_in_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    client = SimpleNamespace(MlflowClient=lambda uri: None)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(tracking=client))
    monkeypatch.setitem(sys.modules, "mlflow.tracking", client)
    made = LoggerRecipe.of(Tracking()).make("R", "target")
    assert made._run_name == "R/target"
    assert made.tags == {"owner": "Ann", "group": "R"}


def test_tensorboard_opens_without_a_metric_that_nobody_logged(tmp_path: Path) -> None:
    logger = LoggerRecipe.of(TensorBoardLogger(tmp_path, name="mia")).make("R", "target")
    logger.log_hyperparams({"dim": 4})
    close([logger])
    events = EventAccumulator(str(logger.log_dir)).Reload()
    assert events.Tags()["scalars"] == []


def test_a_run_is_named_by_its_folder() -> None:
    assert run_names(Path("/x/R/report")) == ("R", "report")
    assert run_names(Path("/x/R/shadows/012")) == ("R", "shadow 12")
