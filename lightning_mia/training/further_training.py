"""Train copies of a model further, as an adversary with the weights can."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from lightning_mia.corpora.loading.datasets import TrainingRecordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.training.callbacks import DivergedError
from lightning_mia.training.progress import TrainingWork, epoch_work
from lightning_mia.training.train import train
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.training.trainer_options import NO_CLIPPING
from lightning_mia.utilities.files import hash_of
from lightning_mia.utilities.progress_bar import Progress
from lightning_mia.utilities.stage import Stage

PARAMETER_SECONDS = 0.9e9
"""Product of a model's size and of the audio whose activations are held at once (seconds)."""


@dataclass(frozen=True)
class FurtherTraining:
    """Trains copies of a model further by its own task.

    Batches, gradient clipping and precision are those of the target's training. Its length, its callbacks and
    per-example clipping are not: these belong to the victim. A large model takes a batch in parts, so that the
    activations fit into memory.

    Attributes:
        recordings: training recordings with the settings of the target's training.
        trainers: creates the Trainers of the target's training.
        folder: folder of the copies; an interrupted training continues there.
        progress: takes the work done.

    Example:
        >>> trainers = TrainerFactory({"max_epochs": 50, "gradient_clip_val": 1.0})
        >>> FurtherTraining(None, trainers).trainers_for(4).options["max_epochs"]
        4
    """

    recordings: TrainingRecordings
    trainers: TrainerFactory
    folder: Path = Path()
    progress: Progress = field(default_factory=Progress)

    def __call__(
        self,
        model: SpeechModel,
        ids: Sequence[str],
        *,
        name: str,
        epochs: int,
        learning_rate: float,
        seed: int,
        head_only: bool = False,
    ) -> SpeechModel | None:
        """Train a copy; see `lightning_mia.signals.base.TrainFurther`."""
        template = with_same_weights(model).cpu()
        template.set_up_further(learning_rate)
        n_parts = count_parts(template, self.recordings.batch_seconds)
        trainers = self.trainers_for(epochs, n_parts)
        settings: dict[str, Any] = {
            "recordings": hash_of(list(ids)),
            "hyperparameters": dict(template.hparams),
            "trainer": trainers.fingerprint(),
            "seed": seed,
        }
        if head_only:
            template.freeze_encoder()
            settings["head_only"] = True
        folder = self.folder / name
        make_trainer = partial(trainers.for_training, folder, "")
        recordings = self.recordings.of(ids, seed, n_parts)
        work = epoch_work(model, recordings) / (model.step_passes if head_only else 1)
        callbacks, stage = [TrainingWork(self.progress, work)], Stage(folder, settings)
        try:
            trained = train(template, recordings, stage, seed, make_trainer, start=template, callbacks=callbacks)
        except DivergedError:
            return None
        return trained.model.to(model.device)

    def trainers_for(self, epochs: int, n_parts: int = 1) -> TrainerFactory:
        """Return the Trainers of a further training.

        Args:
            epochs: passes over the recordings.
            n_parts: parts of a batch, see `count_parts`.
        """
        trainers = self.trainers.with_epochs(epochs).with_options(
            callbacks=None, logger=False, max_time=None, min_epochs=None, min_steps=None, per_example=NO_CLIPPING
        )
        if n_parts == 1:
            return trainers
        steps = n_parts * int(trainers.options.get("accumulate_grad_batches") or 1)
        return trainers.with_options(accumulate_grad_batches=steps)

    def within(self, folder: Path, progress: Progress) -> "FurtherTraining":
        """Return the same training for another model."""
        return replace(self, folder=folder, progress=progress)

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings that change the copies, but for those of the signal group."""
        return {
            "batch_seconds": self.recordings.batch_seconds,
            "waveforms": self.recordings.fingerprint(),
            "trainer": self.trainers_for(1).fingerprint(),
        }


def with_same_weights(model: SpeechModel) -> SpeechModel:
    """Copy a model whose parameters share their memory with the original's."""
    shared = {id(p): nn.Parameter(p.detach(), requires_grad=p.requires_grad) for p in model.parameters()}
    return copy.deepcopy(model, dict(shared))


def count_parts(model: SpeechModel, batch_seconds: float) -> int:
    """Count the parts of a batch, one after the other, of which the gradient is the mean.

    It does not depend on the device, so that the copies do not either.

    Args:
        model: the model.
        batch_seconds: audio in one optimizer step (seconds).
    """
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    return max(1, math.ceil(n_parameters * batch_seconds / PARAMETER_SECONDS))
