"""Probe all models of a run, and cache the signals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lightning_mia.corpora.loading.datasets import Recordings, TrainingRecordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import Resources, SignalGroup
from lightning_mia.signals.runner.run import further_training_folder, probe, unmeasured
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.signals.table import Signals
from lightning_mia.training.further_training import FurtherTraining
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.files import hash_of
from lightning_mia.utilities.progress_bar import Progress


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

    def signals(self, name: str, model: SpeechModel, sha256: str, progress: Progress | None = None) -> Signals:
        """Probe a model, or read its cached signals.

        Args:
            name: name of the model, such as "shadows/003".
            model: the model, in evaluation mode.
            sha256: hash of its weights.
            progress: takes the work done; see `works`.

        Raises:
            InputError: a signal is not finite, or a file is damaged.
        """
        progress = progress or Progress()
        (outputs, path), *others = self._files(name, model, sha256)
        first = self._probe(name, model, outputs, path, progress)
        return first.with_groups([self._probe(name, model, group, path, progress, first) for group, path in others])

    def works(self, name: str, model: SpeechModel, sha256: str) -> dict[Path, float]:
        """Estimate the uncached work of probing a model.

        Returns:
            File of each group → seconds of audio times passes of the model.
        """
        return {
            path: group.work(model, remaining, self._resources(path, Progress())).total
            for group, path in self._files(name, model, sha256)
            if (remaining := unmeasured(path, self.recordings))
        }

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

    def records(self, name: str, model: SpeechModel, sha256: str) -> dict[str, dict[str, Any]]:
        """Return what was recorded with a model's cached signals, by prefix of the group."""
        return {group.prefix: Signals.record(path) for group, path in self._files(name, model, sha256)}

    def _resources(self, path: Path, progress: Progress, answers: Signals | None = None) -> Resources:
        training = self._further_training and self._further_training.within(further_training_folder(path), progress)
        batch_seconds, outputs = self.settings.batch_seconds, self.settings.encoder_outputs
        masks = outputs.n_masks, outputs.mask_seed
        return Resources(self.auxiliary, batch_seconds, self.candidates, training, progress, *masks, answers)

    def _probe(
        self,
        name: str,
        model: SpeechModel,
        group: SignalGroup,
        path: Path,
        progress: Progress,
        answers: Signals | None = None,
    ) -> Signals:
        make_trainer = partial(self.trainers.for_probing, self.folder)
        return probe(
            model,
            group,
            self.recordings,
            self._resources(path, progress, answers),
            self.settings,
            path,
            make_trainer,
            self.trainers.device(),
            f"{name.replace('_', ' ')}: {group.name.replace('_', ' ')}",
        )
