"""One training as a piece of work that can be handed to another process."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L

from lightning_mia.data.recordings import TrainingRecordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.stage import Stage
from lightning_mia.trainer_factory import TrainerFactory
from lightning_mia.training.train import Trained, kind_of_training, train


@dataclass(frozen=True)
class TrainingJob:
    """Train one model, once; everything that it takes, with no open files and no state of a run.

    Attributes:
        name: folder of the training in the run directory, such as "shadows/003".
        folder: the whole path.
        model: class and configuration.
        recordings: what is trained on.
        settings: everything that changes the result.
        seed: of the weights, the dropout and the training masks.
        trainers: makes the Trainer.
        start: a model whose weights the training goes on from.
    """

    name: str
    folder: Path
    model: SpeechModel
    recordings: TrainingRecordings
    settings: dict[str, Any]
    seed: int
    trainers: TrainerFactory
    start: SpeechModel | None = None

    @property
    def kind(self) -> str:
        """Hash of what all models of a fleet, and the target, have in common."""
        return kind_of_training(Stage(self.folder, self.settings).settings)

    def run(self, watchers: Sequence[L.Callback] = ()) -> Trained:
        """Train the model, go on with its training, or read it where it is trained already.

        Args:
            watchers: callbacks that look on, and change nothing.

        Raises:
            InputError: the folder was begun with other settings, or holds another model.
        """
        title = f"Training {self.name.replace('_', ' ')}"
        make_trainer = partial(self.trainers.for_training, self.folder, title)
        stage = Stage(self.folder, self.settings)
        return train(self.model, self.recordings, stage, self.seed, make_trainer, self.start, watchers)
