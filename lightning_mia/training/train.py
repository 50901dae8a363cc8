"""Train one model, once: resumed where interrupted, refused where it was begun otherwise."""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import lightning as L
import pandas as pd

from lightning_mia.corpora.loading.datasets import TrainingRecordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import initialise, load_model
from lightning_mia.training.callbacks import Exposure, Health, KeyedRandomness, LastCheckpoint, save_checkpoint
from lightning_mia.training.dp_sgd import ClippedGradients
from lightning_mia.training.hparams_logger import Hyperparameters
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path, hash_of, hash_of_file
from lightning_mia.utilities.lightning import interruptible
from lightning_mia.utilities.stage import Stage

OF_ONE_MODEL = ("recordings", "transcripts", "seed")  # settings in which models trained alike may differ


@runtime_checkable
class HasNotes(Protocol):
    """A callback that has something to tell the report."""

    @property
    def notes(self) -> list[str]:
        """A sentence each."""
        ...


@dataclass(frozen=True)
class Trained:
    """A model that went through `train`.

    Attributes:
        model: with its trained weights, in evaluation mode, on the CPU.
        checkpoint: file of the weights.
        sha256: hash of that file.
        record: what the training has to tell: `seconds`, `epochs`, `steps`, `utterances`, `hours`, `health` (figure →
            its first and last logged values), `collapse`, `notes` (of the watchers, for the
            report), `privacy` (None unless gradients were clipped per example).
    """

    model: SpeechModel
    checkpoint: Path
    sha256: str
    record: dict[str, Any]


def train(
    like: SpeechModel,
    recordings: TrainingRecordings,
    stage: Stage,
    seed: int,
    make_trainer: Callable[..., L.Trainer],
    start: SpeechModel | None = None,
    watchers: Sequence[L.Callback] = (),
) -> Trained:
    """Train a model of the class and configuration of `like` on some recordings.

    Leaves `model.ckpt` (weights), `trained_utterances.csv` (`id,times`: what was trained on, how often) and
    the TensorBoard log in the stage's folder.

    Args:
        like: class and configuration; its weights are not used.
        recordings: what to train on.
        stage: the stage, with every setting that changes the result.
        seed: of the weights, the dropout and the training masks.
        make_trainer: makes the Lightning Trainer, given `callbacks`.
        start: the weights to go on from; by default those that `like` is initialised with.
        watchers: callbacks that look on, and change nothing.

    Raises:
        InputError: the folder was begun with other settings, or holds another model.
    """
    checkpoint = stage.folder / "model.ckpt"
    if not (stage.begin().done and checkpoint.exists()):
        model = copy.deepcopy(start) if start else initialise(like, seed)
        _fit(model.train(), recordings, stage, seed, make_trainer, checkpoint, watchers)
    assert stage.record is not None
    try:
        model = load_model(checkpoint, like)
    except InputError as error:
        raise InputError(f"{checkpoint} is damaged; delete {stage.folder} and start again") from error
    if model.origin.get("stage") != stage.sha256:
        raise InputError(
            f"{checkpoint} is not the model that this stage trained; delete {stage.folder} and start again"
        )
    return Trained(model, checkpoint, hash_of_file(checkpoint), stage.record)


def _fit(
    model: SpeechModel,
    recordings: TrainingRecordings,
    stage: Stage,
    seed: int,
    make_trainer: Callable[..., L.Trainer],
    checkpoint: Path,
    watchers: Sequence[L.Callback],
) -> None:
    exposure, clock, health = Exposure(), _Clock(), Health()
    model.origin = {
        "stage": stage.sha256,
        "split": stage.settings.get("split"),
        "training": kind_of_training(stage.settings),
    }
    interrupted = stage.folder / "last.ckpt"
    ours = [KeyedRandomness(seed), exposure, clock, health, LastCheckpoint(interrupted)]
    # The watchers come first, so that a checkpoint holds what they saw, and the figures that they log are known.
    trainer = make_trainer(callbacks=[*watchers, *ours, Hyperparameters(stage.settings)])
    try:
        with interruptible(trainer):
            trainer.fit(model, datamodule=recordings, ckpt_path=str(interrupted) if interrupted.exists() else None)
        times = exposure.gather(trainer)
        save_checkpoint(trainer, checkpoint, weights_only=True)
    except OSError as error:
        raise InputError(
            f"Cannot write to {stage.folder}: {error.strerror or error}; mend that and start again"
        ) from error
    if trainer.is_global_zero:
        _write_exposure(stage.folder / "trained_utterances.csv", recordings.recordings.ids, times)
        stage.finish(
            {
                "seconds": round(clock.seconds, 3),
                "loop_seconds": round(clock.loop_seconds, 3),
                "epochs": trainer.current_epoch,
                "steps": trainer.global_step,
                "utterances": len(times),
                "hours": round(float(recordings.recordings.durations.sum()) / 3600, 5),
                "parameters": sum(parameter.numel() for parameter in model.parameters()),
                "health": {name: [health.first[name], value] for name, value in health.last.items()},
                "collapse": health.collapse,
                "privacy": _privacy(trainer),
                "notes": [note for watcher in watchers if isinstance(watcher, HasNotes) for note in watcher.notes],
            }
        )
        interrupted.unlink(missing_ok=True)
    trainer.strategy.barrier()
    stage.begin()


def _privacy(trainer: L.Trainer) -> dict[str, Any] | None:
    callbacks: list[L.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    accounts = [one.account(trainer) for one in callbacks if isinstance(one, ClippedGradients)]
    return accounts[0] if accounts else None


def kind_of_training(settings: dict[str, Any]) -> str:
    """Hash of all that a target and its shadow models must have in common: everything but who is trained on, and seeds.

    Args:
        settings: of the stage.
    """
    return hash_of({name: value for name, value in settings.items() if name not in OF_ONE_MODEL})


def _write_exposure(path: Path, ids: Sequence[str], times: dict[str, int]) -> None:
    table = pd.DataFrame({"id": ids, "times": [times.get(utterance, 0) for utterance in ids]})
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


class _Clock(L.Callback):
    """Seconds spent in training, as far as checkpoints kept what it led to.

    Attributes:
        loop_seconds: of the present start's optimizer steps alone, without set-up and targets.
    """

    def __init__(self) -> None:
        self.before, self.loop_seconds = 0.0, 0.0
        self.start = self.loop_start = time.monotonic()

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.start

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.loop_start = time.monotonic()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.loop_seconds = time.monotonic() - self.loop_start

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.before = state_dict["seconds"]
