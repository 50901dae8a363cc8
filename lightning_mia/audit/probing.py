"""Probe all models of a run, and cache the signals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np

from lightning_mia.corpora.loading.datasets import Recordings, TrainingRecordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import Resources, SignalGroup
from lightning_mia.signals.runner.run import further_training_folder, probe
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.signals.table import Signals
from lightning_mia.training.further_training import FurtherTraining
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.files import hash_of


@dataclass(frozen=True)
class ProbePlan:
    """Signal groups and queries for every model; picklable.

    Attributes:
        groups: signal groups; the first returns the pooled vectors.
        recordings: recordings to query.
        auxiliary: the adversary's recordings, on which groups fit reference statistics and surrogate heads.
        inputs: everything else that determines the signals, JSON-like.
        settings: batches and workers.
        folder: cache of the signals.
        trainers: creates the Trainer.
        candidates: recordings of every question, on which groups may train copies of a model further.
        training: settings of the target's training recordings; None: no copies can be trained.

    Example:
        An audit creates its plan; every model is probed with it:

            plan = audit.probe_plan
            signals = plan.signals("target", target.model, target.sha256)  # read from the cache the second time
    """

    groups: Sequence[SignalGroup]
    recordings: Recordings
    auxiliary: Recordings
    inputs: Any
    settings: ProbeSettings
    folder: Path
    trainers: TrainerFactory
    candidates: Mapping[str, Sequence[str]] = field(default_factory=dict)
    training: TrainingRecordings | None = None

    def key(self, sha256: str) -> str:
        """Hash everything that determines a model's signals.

        Args:
            sha256: hash of the weights.
        """
        fingerprints = [group.fingerprint() for group in self.groups]
        further = self._further_inputs() if any(group.trains_further for group in self.groups) else []
        return hash_of([sha256, self.inputs, fingerprints, *further])

    def signals(self, name: str, model: SpeechModel, sha256: str, callbacks: Sequence[L.Callback] = ()) -> Signals:
        """Probe a model, or read its cached signals.

        Args:
            name: name of the model, such as "shadows/003".
            model: the model, in evaluation mode.
            sha256: hash of its weights.
            callbacks: additional read-only callbacks of the Trainer.

        Raises:
            InputError: a signal is not finite, or a file is damaged.
        """
        (outputs, path), *others = self._files(name, model, sha256)
        first = self._probe(name, model, outputs, path, callbacks)
        return first.with_groups(
            [self._probe(name, model, group, path, callbacks, first) for group, path in others],
        )

    def versions(self, name: str, model: SpeechModel, sha256: str) -> list[dict[str, str]]:
        """Return the package versions of a model's cached signals."""
        return [Signals.versions(path) for _, path in self._files(name, model, sha256)]

    def is_cached(self, name: str, model: SpeechModel, sha256: str) -> bool:
        """Whether all signals of a model are cached; see `signals`."""
        return all(path.exists() for _, path in self._files(name, model, sha256))

    def _files(self, name: str, model: SpeechModel, sha256: str) -> Iterator[tuple[SignalGroup, Path]]:
        """List the groups supported by the model, with cache files."""
        for group in self.groups:
            if group.supports(model):
                further = self._further_inputs() if group.trains_further else []
                key = hash_of([sha256, self.inputs, group.fingerprint(), *further])
                yield group, self.folder / f"{name.replace('/', '-')}-{group.name}-{key[:16]}.npz"

    def _further_inputs(self) -> list[Any]:
        """List what determines copies that are trained further, and their scores."""
        outputs = self.settings.encoder_outputs.fingerprint()
        return [dict(self.candidates), self._further_training and self._further_training.fingerprint(), outputs]

    @property
    def _further_training(self) -> FurtherTraining | None:
        return None if self.training is None else FurtherTraining(self.training, self.trainers)

    @property
    def _median_seconds(self) -> float:
        """Median length of the candidates (seconds)."""
        asked = sorted({utterance for ids in self.candidates.values() for utterance in ids})
        return float(np.median(self.recordings.take(asked).durations)) if asked else 1.0

    def records(self, name: str, model: SpeechModel, sha256: str) -> dict[str, dict[str, Any]]:
        """Return what was recorded with a model's cached signals, by prefix of the group."""
        return {group.prefix: Signals.record(path) for group, path in self._files(name, model, sha256)}

    def _probe(
        self,
        name: str,
        model: SpeechModel,
        group: SignalGroup,
        path: Path,
        callbacks: Sequence[L.Callback],
        answers: Signals | None = None,
    ) -> Signals:
        title = f"Probing {name.replace('_', ' ')}: {group.name.replace('_', ' ')}"
        make_trainer = partial(self.trainers.for_probing, self.folder, title)
        training = self._further_training and self._further_training.within(further_training_folder(path), name)
        outputs = self.settings.encoder_outputs
        resources = Resources(
            self.auxiliary,
            self.settings.batch_seconds,
            self.candidates,
            training,
            self._median_seconds,
            outputs.n_masks,
            outputs.mask_seed,
            answers,
            self.trainers.shows_progress,
        )
        return probe(
            model,
            group,
            self.recordings,
            resources,
            self.settings,
            path,
            make_trainer,
            self.trainers.device(),
            callbacks,
        )
