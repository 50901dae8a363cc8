"""Train one model, resumably."""

import copy
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import lightning as L
import pandas as pd

from lightning_mia.corpora.loading.datasets import TrainingRecordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import initialise, model_of, read_checkpoint
from lightning_mia.models.learned_targets import LearnedTargets
from lightning_mia.models.weights import hash_content
from lightning_mia.training.callbacks import (
    DivergedError,
    Exposure,
    Health,
    KeyedRandomness,
    LastCheckpoint,
    StopIfDiverged,
    save_checkpoint,
)
from lightning_mia.training.dp_sgd import ClippedGradients
from lightning_mia.training.hparams_logger import Hyperparameters
from lightning_mia.training.loggers import close
from lightning_mia.utilities.errors import InputError, explain_lack
from lightning_mia.utilities.files import atomic_path, hash_of, hash_of_file
from lightning_mia.utilities.lightning import interruptible
from lightning_mia.utilities.stage import Stage

EXPOSURES = "trained_utterances.csv"
PER_MODEL_SETTINGS = ("recordings", "transcripts", "seed", "targets")
"""Settings that may differ between a target and its shadow models."""


@runtime_checkable
class HasNotes(Protocol):
    """A callback with sentences for the report."""

    @property
    def notes(self) -> list[str]:
        """Sentences for the report."""
        ...


@dataclass(frozen=True)
class Trained:
    """Trained model and its training record.

    Attributes:
        model: trained model, in evaluation mode, on the CPU.
        checkpoint: file of the weights.
        sha256: hash of the weights; of the file, if an earlier version wrote it, or if it was trained elsewhere.
        record: `seconds`, `loop_seconds`, `processor_seconds`, `epochs`, `steps`, `utterances`, `hours`, `parameters`,
            `health` (metric → first and last logged value), `collapse`, `notes` (of the callbacks, for the report),
            `privacy` (None unless gradients were clipped per example).
        versions: package → version with which it was trained; empty if unknown.
    """

    model: SpeechModel
    checkpoint: Path
    sha256: str
    record: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)


def train(
    template: SpeechModel,
    recordings: TrainingRecordings,
    stage: Stage,
    seed: int,
    make_trainer: Callable[..., L.Trainer],
    start: SpeechModel | None = None,
    callbacks: Sequence[L.Callback] = (),
    targets: LearnedTargets | None = None,
) -> Trained:
    """Train a model with the class and configuration of `template`.

    Writes `model.ckpt` (weights), `trained_utterances.csv` (`id,times`: how often each recording was trained on) and
    the TensorBoard log to the stage's folder.

    Args:
        template: class and configuration; its weights are not used.
        recordings: training set.
        stage: the stage, with all settings that change the result.
        seed: seed of the weights, the dropout and the training masks.
        make_trainer: creates the Lightning Trainer, given `callbacks`.
        start: model whose weights the training continues from; by default `template`, freshly initialised.
        callbacks: additional read-only callbacks.
        targets: learned targets to copy; by default they are fitted on the training set.

    Raises:
        InputError: the folder has other settings, or contains another model; or the training diverged.
    """
    checkpoint = stage.folder / "model.ckpt"
    if not (stage.begin().done and checkpoint.exists()):
        model = copy.deepcopy(start) if start else initialise(template, seed)
        if targets:
            targets.copy_to(model)
        try:
            _fit(model.train(), recordings, stage, seed, make_trainer, checkpoint, callbacks)
        except BaseException as error:
            last = stage.folder / "last.ckpt"
            if isinstance(error, DivergedError):
                last.unlink(missing_ok=True)
            if not last.exists():  # nothing to resume, so that other settings may follow
                stage.path.unlink(missing_ok=True)
            raise
        del model
        recordings.trainer = None
        if template.is_large:  # gradients and optimizer states, in reference cycles, are three times its size
            gc.collect()
    assert stage.record is not None
    try:
        content = read_checkpoint(checkpoint)
        model = model_of(content, checkpoint, template)
    except InputError as error:
        raise InputError(f"{checkpoint} is damaged; delete {stage.folder} and run the same command again") from error
    if model.origin.get("stage") != stage.sha256:
        raise InputError(
            f"{checkpoint} was not trained by this stage; delete {stage.folder} and run the same command again"
        )
    recorded = stage.record.get("weights_sha256")
    if recorded not in (None, hash_content(content["state_dict"])):
        raise InputError(
            f"{checkpoint} is damaged: its weights are not those that {stage.path} records; delete {stage.folder} and "
            "run the same command again"
        )
    sha256 = recorded or hash_of_file(checkpoint)  # earlier versions hashed the file
    return Trained(model, checkpoint, sha256, stage.record, stage.versions)


def shared_settings_hash(settings: dict[str, Any]) -> str:
    """Hash the settings shared by target and shadow models.

    Args:
        settings: settings of the stage; the training set and seeds are left out.
    """
    return hash_of({name: value for name, value in settings.items() if name not in PER_MODEL_SETTINGS})


def _fit(
    model: SpeechModel,
    recordings: TrainingRecordings,
    stage: Stage,
    seed: int,
    make_trainer: Callable[..., L.Trainer],
    checkpoint: Path,
    callbacks: Sequence[L.Callback],
) -> None:
    exposure, clock, health = Exposure(), _Clock(), Health()
    model.origin = {
        "stage": stage.sha256,
        "split": stage.settings.get("split"),
        "recordings": stage.settings.get("recordings"),
        "training": shared_settings_hash(stage.settings),
    }
    interrupted = stage.folder / "last.ckpt"
    own_callbacks = [StopIfDiverged(), KeyedRandomness(seed), exposure, clock, health, LastCheckpoint(interrupted)]
    # The additional callbacks come first: checkpoints contain their state, and Hyperparameters knows their metrics.
    trainer = make_trainer(callbacks=[*callbacks, *own_callbacks, Hyperparameters(stage.settings)])
    try:
        with interruptible(trainer):
            trainer.fit(model, datamodule=recordings, ckpt_path=str(interrupted) if interrupted.exists() else None)
        times = exposure.gather(trainer)
        save_checkpoint(trainer, checkpoint, weights_only=True)
    except OSError as error:
        if lack := explain_lack(error):
            raise InputError(lack) from error
        raise InputError(
            f"Cannot write to {stage.folder}: {error.strerror or error}; fix that and run the same command again"
        ) from error
    finally:
        close(trainer.loggers)
    if trainer.is_global_zero:
        exposures = stage.folder / EXPOSURES
        _write_exposure(exposures, recordings.recordings.ids, times)
        stage.finish(
            {
                "seconds": round(clock.seconds, 3),
                "loop_seconds": round(clock.loop_seconds, 3),
                "processor_seconds": round(clock.processor_seconds, 3),
                "epochs": trainer.current_epoch,
                "steps": trainer.global_step,
                "utterances": len(times),
                "hours": round(float(recordings.recordings.durations.sum()) / 3600, 5),
                "parameters": sum(parameter.numel() for parameter in model.parameters()),
                "health": health.finite(),
                "collapse": health.collapse,
                "privacy": _privacy(trainer),
                "weights_sha256": hash_content(read_checkpoint(checkpoint)["state_dict"]),
                "exposures_sha256": hash_of_file(exposures),
                "notes": [note for callback in callbacks if isinstance(callback, HasNotes) for note in callback.notes],
            }
        )
        interrupted.unlink(missing_ok=True)
    trainer.strategy.barrier()
    stage.begin()


def _privacy(trainer: L.Trainer) -> dict[str, Any] | None:
    callbacks: list[L.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback.account(trainer) for callback in callbacks if isinstance(callback, ClippedGradients)), None)


def _write_exposure(path: Path, ids: Sequence[str], times: dict[str, int]) -> None:
    table = pd.DataFrame({"id": ids, "times": [times.get(utterance, 0) for utterance in ids]})
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


class _Clock(L.Callback):
    """Training time, without work that an interruption lost.

    Attributes:
        loop_seconds: time in the optimizer steps since the last start, without set-up and target fitting (seconds).
    """

    def __init__(self) -> None:
        self.before, self.processor_before, self.loop_seconds = 0.0, 0.0, 0.0
        self.start = self.loop_start = time.monotonic()
        self.processor_start = time.process_time()

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.start

    @property
    def processor_seconds(self) -> float:
        """Processor time of this process (seconds)."""
        return self.processor_before + time.process_time() - self.processor_start

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.loop_start = time.monotonic()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.loop_seconds = time.monotonic() - self.loop_start

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "processor_seconds": self.processor_seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.before = state_dict["seconds"]
        self.processor_before = state_dict.get("processor_seconds", 0.0)  # an earlier version did not count it
