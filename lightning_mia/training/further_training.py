"""Train copies of a model further, as an adversary with the weights can."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class FurtherTraining:
    """Trains copies of a model further by its own task.

    Batches, gradient clipping and precision are those of the target's training. Its length, its callbacks and
    per-example clipping are not: these belong to the victim.

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
        template = copy.deepcopy(model).cpu()
        template.hparams.update(template.settings_further(learning_rate))
        settings: dict[str, Any] = {
            "recordings": hash_of(list(ids)),
            "hyperparameters": dict(template.hparams),
            "trainer": self.trainers_for(epochs).fingerprint(),
            "seed": seed,
        }
        if head_only:
            template.freeze_encoder()
            settings["head_only"] = True
        folder = self.folder / name
        make_trainer = partial(self.trainers_for(epochs).for_training, folder, "")
        recordings = self.recordings.of(ids, seed)
        work = epoch_work(model, recordings) / (model.step_passes if head_only else 1)
        callbacks, stage = [TrainingWork(self.progress, work)], Stage(folder, settings)
        try:
            trained = train(template, recordings, stage, seed, make_trainer, start=template, callbacks=callbacks)
        except DivergedError:
            return None
        return trained.model.to(model.device)

    def trainers_for(self, epochs: int) -> TrainerFactory:
        """Return the Trainers of a further training."""
        return self.trainers.with_epochs(epochs).with_options(
            callbacks=None, logger=False, max_time=None, min_epochs=None, min_steps=None, per_example=NO_CLIPPING
        )

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
