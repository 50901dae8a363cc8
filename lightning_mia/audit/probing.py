"""The questions of a run, asked of one model after the other, and never twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L

from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.runner.run import probe
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.signals.table import Signals
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.files import hash_of


@dataclass(frozen=True)
class ProbePlan:
    """What every model of a run is asked; can be handed to another process.

    Attributes:
        groups: the groups of signals, that with the pooled vectors first.
        recordings: those that are asked about.
        auxiliary: the adversary's own recordings, from which groups may learn about a model.
        about: what beside the model and the group determines the answers, JSON-like.
        settings: batches and workers.
        folder: where signals are kept.
        trainers: makes the Trainer.
    """

    groups: Sequence[SignalGroup]
    recordings: Recordings
    auxiliary: Recordings
    about: Any
    settings: ProbeSettings
    folder: Path
    trainers: TrainerFactory

    def key(self, sha256: str) -> str:
        """Hash of all that the answers of a model with this hash depend on."""
        return hash_of([sha256, self.about, [group.fingerprint() for group in self.groups]])

    def signals(self, name: str, model: SpeechModel, sha256: str, callbacks: Sequence[L.Callback] = ()) -> Signals:
        """Signals of one model, from the folder where they are already there.

        Args:
            name: of the model, such as "shadows/003".
            model: the model, in evaluation mode.
            sha256: hash of its weights.
            callbacks: callbacks that look on, and change nothing.

        Raises:
            InputError: the model gives a signal that is not a finite number, or a file is damaged.
        """
        first, *others = [
            self._ask(name, model, group, path, callbacks) for group, path in self._files(name, model, sha256)
        ]
        return first.with_groups(others)

    def knows(self, name: str, model: SpeechModel, sha256: str) -> bool:
        """Whether a model was asked everything already; see `signals`."""
        return all(path.exists() for _, path in self._files(name, model, sha256))

    def _files(self, name: str, model: SpeechModel, sha256: str) -> Iterator[tuple[SignalGroup, Path]]:
        """The groups that the model can be asked, and where their signals are kept."""
        for group in self.groups:
            if group.supports(model):
                key = hash_of([sha256, self.about, group.fingerprint()])
                yield group, self.folder / f"{name.replace('/', '-')}-{group.name}-{key[:16]}.npz"

    def _ask(
        self, name: str, model: SpeechModel, group: SignalGroup, path: Path, callbacks: Sequence[L.Callback]
    ) -> Signals:
        title = f"Probing {name.replace('_', ' ')}: {group.name.replace('_', ' ')}"
        make_trainer = partial(self.trainers.for_probing, self.folder, title)
        return probe(
            model,
            group,
            self.recordings,
            self.auxiliary,
            self.settings,
            path,
            make_trainer,
            self.trainers.device(),
            callbacks,
        )
