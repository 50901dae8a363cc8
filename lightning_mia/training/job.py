"""One training as a piece of work that can be handed to another process."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L

from lightning_mia.corpora.loading.datasets import TrainingRecordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import build, hyperparameters_of, read_checkpoint
from lightning_mia.training.train import Trained, kind_of_training, train
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.stage import Stage


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

    def check(self) -> Stage:
        """Compare with what was begun, if anything was, and begin nothing.

        Raises:
            InputError: the folder was begun with other settings, or its description is damaged.
        """
        stage = Stage(self.folder, self.settings)
        return stage.begin() if stage.path.exists() else stage

    @property
    def done(self) -> bool:
        """Whether the model is trained; see `check`."""
        return self.check().done and (self.folder / "model.ckpt").exists()

    def run(self, watchers: Sequence[L.Callback] = ()) -> Trained:
        """Train the model, go on with its training, or read it where it is trained already.

        Args:
            watchers: callbacks that look on, and change nothing.

        Raises:
            InputError: the folder was begun with other settings, or holds another model, or what is damaged.
        """
        if not self.done:
            self._check_last()
        title = f"Training {self.name.replace('_', ' ')}"
        make_trainer = partial(self.trainers.for_training, self.folder, title)
        stage = Stage(self.folder, self.settings)
        recordings = copy.copy(self.recordings)  # to which a Trainer holds on, with the model and its optimizer
        return train(self.model, recordings, stage, self.seed, make_trainer, self.start, watchers)

    def _check_last(self) -> None:
        path = self.folder / "last.ckpt"
        if not path.exists():
            return
        try:
            read_checkpoint(path)
        except InputError as error:
            raise InputError(f"{path} is damaged; delete it to train this model from its start") from error

    def __getstate__(self) -> dict[str, Any]:
        """Leave the model's weights behind, which are not used and cannot always be pickled."""
        assert self.start is None, "weights to go on from are not sent to other processes"
        return {**vars(self), "model": (type(self.model), hyperparameters_of(self.model))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the model again."""
        model_class, hyperparameters = state["model"]
        self.__dict__.update(state, model=build(partial(model_class, **hyperparameters)))
