"""Picklable job that trains one model."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L

from lightning_mia.corpora.loading.datasets import TrainingRecordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import constructor_arguments, read_checkpoint
from lightning_mia.models.construction import build
from lightning_mia.models.learned_targets import LearnedTargets
from lightning_mia.training.progress import epoch_work
from lightning_mia.training.train import Trained, shared_settings_hash, train
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.stage import Stage


@dataclass(frozen=True)
class TrainingJob:
    """Training of one model.

    It holds no open files and no state of a run.

    Attributes:
        name: folder of the training in the run directory, such as "shadows/003".
        folder: full path of that folder.
        model: class and configuration.
        recordings: training set.
        settings: all settings that change the result.
        seed: seed of the weights, the dropout and the training masks.
        trainers: creates the Trainer.
        start: model whose weights the training continues from.
        targets: learned targets to copy, instead of fitting them on the training set.
    """

    name: str
    folder: Path
    model: SpeechModel
    recordings: TrainingRecordings
    settings: dict[str, Any]
    seed: int
    trainers: TrainerFactory
    start: SpeechModel | None = None
    targets: LearnedTargets | None = None

    @property
    def kind(self) -> str:
        """Hash of the settings shared by target and shadow models."""
        return shared_settings_hash(Stage(self.folder, self.settings).settings)

    def check(self) -> Stage:
        """Compare with the stage on disk, if any.

        Raises:
            InputError: the folder has other settings, or its description is damaged.
        """
        stage = Stage(self.folder, self.settings)
        return stage.begin() if stage.path.exists() else stage

    @property
    def done(self) -> bool:
        """Whether the model is already trained; see `check`."""
        return self.check().done and (self.folder / "model.ckpt").exists()

    @property
    def work(self) -> float:
        """Expected work that is left: audio (seconds) times passes."""
        if self.done:
            return 0.0
        options = self.trainers.options
        epochs = options.get("stop_after_epochs") or options.get("max_epochs")
        if epochs in (None, -1):
            epochs = max(0, options.get("max_steps") or 0) / self.recordings.n_batches
        return float(epochs) * epoch_work(self.model, self.recordings)

    def run(self, callbacks: Sequence[L.Callback] = ()) -> Trained:
        """Train the model, resume its training, or load it.

        Args:
            callbacks: additional read-only callbacks.

        Raises:
            InputError: the folder has other settings, or contains another model or a damaged one.
        """
        if not self.done:
            self._check_last()
        title = f"Training {self.name.replace('_', ' ')}"
        make_trainer = partial(self.trainers.for_training, self.folder, title)
        stage = Stage(self.folder, self.settings)
        recordings = copy.copy(self.recordings)  # the Trainer attaches itself, with model and optimizer
        return train(self.model, recordings, stage, self.seed, make_trainer, self.start, callbacks, self.targets)

    def _check_last(self) -> None:
        path = self.folder / "last.ckpt"
        if not path.exists():
            return
        try:
            read_checkpoint(path)
        except InputError as error:
            raise InputError(f"{path} is damaged; delete it to train this model from the start") from error

    def __getstate__(self) -> dict[str, Any]:
        """Drop the model's weights, unused and perhaps not picklable."""
        assert self.start is None, "initial weights are not sent to other processes"
        return {**vars(self), "model": (type(self.model), constructor_arguments(self.model))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the model."""
        model_class, hyperparameters = state["model"]
        self.__dict__.update(state, model=build(partial(model_class, **hyperparameters)))
