"""One run directory: a corpus, its split, and the models that are trained in it, each once."""

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_mia.audit.monitor import LeakageMonitor
from lightning_mia.audit.probing import ProbePlan
from lightning_mia.audit.settings import ControlSettings
from lightning_mia.audit.shadow_models.job import Task
from lightning_mia.audit.shadow_models.train import check_executor, run_fleet
from lightning_mia.audit.upload import ResultsUploader, files_of_run
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import hyperparameters_of, initialise, load_model
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.training.intermediate_checkpoints import length_note
from lightning_mia.training.job import TrainingJob
from lightning_mia.training.parallel.devices import check_one_device
from lightning_mia.training.parallel.settings import FleetSettings
from lightning_mia.training.train import Trained
from lightning_mia.training.trainer_factory import TrainerFactory, training_seed
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of, hash_of_file

log = logging.getLogger(__name__)


@dataclass
class AuditRun:
    """Trains the target, its controls and its shadow models, as far as that was not done by an earlier start.

    Args:
        run_dir: folder of the run.
        model: class and configuration of the target; where it arrives trained, perhaps the target itself.
        data: the corpus and the design.
        trainers: how models are trained.
        controls: which controls are run.
        fleet: the shadow models.

        monitor: watches the target's training; by default the one among the Trainer's callbacks, if any.

    Attributes:
        notes: for the report, a sentence each.
        mirror: where results are copied to after every model of the fleet, if anywhere.
    """

    run_dir: Path
    model: SpeechModel
    data: SpeechDataModule
    trainers: TrainerFactory
    controls: ControlSettings = field(default_factory=ControlSettings)
    fleet: FleetSettings = field(default_factory=FleetSettings)
    monitor: LeakageMonitor | None = None
    notes: list[str] = field(default_factory=list, init=False)
    mirror: ResultsUploader | None = field(default=None, init=False)

    def load(self) -> None:
        """Decode the corpus and draw the split.

        Raises:
            InputError: the corpus cannot be used, or the run was begun otherwise.
        """
        if self.data.spec_augment.enabled and not self.model.takes_spec_augment:
            raise InputError(
                f"data.spec_augment hides log-mel frames, which {type(self.model).__name__} does not train on: leave "
                "it out, or give data.time_masking, which serves every family"
            )
        self.data.load(self.run_dir / "split.csv", self.fleet.size, self.fleet.pool)
        self.notes += self.data.notes
        if note := length_note(self.trainers.options):
            self.notes.append(note)
        audio, ids = self.data.audio, list(self.data.split.table["id"])
        texts = {utterance: audio.texts.get(utterance, "") for utterance in ids}
        self.model = self.model.for_corpus(texts, audio.index.loc[ids, "duration"].to_dict())
        if self.monitor and self.trainers.monitor not in (None, self.monitor):
            raise InputError("Leakage is monitored by monitor.… and by trainer.callbacks: leave one of them out")
        self.monitor = self.monitor or self.trainers.monitor
        self.trainers.check_limits(self.monitor)
        self._check_fleet()

    def fit_target(self) -> Trained:
        """Train the target on its member set, watched by the monitor where there is one."""
        self.data.split.save_once(self.run_dir / "split.csv")
        job = self.job("target", self.data.split.training_ids(), training_seed(), monitor=self.monitor)
        if self.monitor is None:
            return job.run()
        if job.done:
            log.info("The target is trained already: its leakage is not measured again")
        return job.run([copy.deepcopy(self.monitor).attach(self.data)])

    def fit_wrong_model(self) -> Trained | None:
        """Train the same model on neither side; None without auxiliary recordings."""
        ids = self.data.split.auxiliary_ids()
        return self.train("wrong_model", ids) if ids else None

    def fit_untrained(self) -> Trained:
        """The target as it was before its first step: a training of no epochs.

        Targets that are learned (HuBERT's clusters) come from the auxiliary recordings, or, where there are none, from
        both sides of the challenge set alike.
        """
        ids = self.data.split.auxiliary_ids() or list(self.data.split.table["id"])
        return self.train("untrained", ids, max_epochs=0)

    def train(self, name: str, ids: list[str], max_epochs: int | None = None, start: Trained | None = None) -> Trained:
        """Train a model of the target's class and configuration, or take it as an earlier start left it.

        Args:
            name: folder of the training in the run directory.
            ids: recordings to train on.
            max_epochs: passes over them, instead of the length that the Trainer's options set.
            start: a model whose weights the training goes on from.
        """
        self.data.split.save_once(self.run_dir / "split.csv")
        return self.job(name, ids, training_seed(), max_epochs, start).run()

    def job(
        self,
        name: str,
        ids: list[str],
        seed: int,
        max_epochs: int | None = None,
        start: Trained | None = None,
        monitor: LeakageMonitor | None = None,
    ) -> TrainingJob:
        """A training, with every setting that changes its result; see `train`."""
        trainers = self.trainers if max_epochs is None else self.trainers.of_epochs(max_epochs)
        recordings = self.data.training_recordings(ids, seed)
        settings: dict[str, Any] = {
            "split": self.data.split.sha256,
            "recordings": self.data.audio.data_hash(ids),
            "n_recordings": len(ids),
            "model": type(self.model).__name__,
            "hyperparameters": hyperparameters_of(self.model),
            "start": start.sha256 if start else self.model.weights_sha256(),
            "waveforms": {
                **self.data.training_changes.fingerprint(),
                **self.data.time_masking.fingerprint(),
                **self.data.spec_augment.fingerprint(),
            },
            "batches_per_epoch": recordings.n_batches,
            "seed": seed,
            "trainer": trainers.fingerprint(),
        }
        if self.model.uses_transcripts:
            settings["transcripts"] = hash_of({utterance: self.data.audio.texts[utterance] for utterance in ids})
        if monitor and (stop := monitor.fingerprint()):
            settings["stop"] = stop
        first = start.model if start else None
        return TrainingJob(name, self.run_dir / name, self.model, recordings, settings, seed, trainers, first)

    def shadow_tasks(self, target: Trained | None = None, interview: ProbePlan | None = None) -> list[Task]:
        """What is to be done for each shadow model.

        Args:
            target: the model that they have to be trained like, where there is one already.
            interview: what they are asked once they are trained.

        Raises:
            InputError: the target was trained otherwise.
        """
        split = self.data.split
        trainings = [
            self.job(f"shadows/{number:03d}", split.training_ids(name), training_seed() + 1 + number)
            for number, name in enumerate(split.shadows)
        ]
        if target and (theirs := target.model.origin.get("training")) not in {job.kind for job in trainings}:
            how = "does not say how it was trained" if theirs is None else "was trained with other settings"
            raise InputError(
                f"{target.checkpoint} {how}, but shadow models must be trained exactly like the target: train it here, "
                "by `lightning-mia audit` or `fit` with this config, or give --fleet.size 0"
            )
        return [Task(job, interview) for job in trainings]

    def _check_fleet(self) -> None:
        """Refuse shadow models that were begun otherwise before a target is trained for hours."""
        if self.fleet.size:
            if self.monitor and self.monitor.limits:
                limits = " and ".join(self.monitor.limits)
                raise InputError(
                    f"A monitor with {limits} ends the target's training early, but shadow models must be trained "
                    f"exactly like the target: leave {limits} out, or give --fleet.size 0"
                )
            check_one_device(self.trainers, self.fleet)
            check_executor(self.fleet)
            for task in self.shadow_tasks():
                task.training.check()

    def train_fleet(self) -> None:
        """Train the shadow models, as far as they are not trained yet."""
        self.data.split.save_once(self.run_dir / "split.csv")
        self.run_tasks(self.shadow_tasks(), "Training shadow models")

    def run_tasks(self, tasks: Sequence[Task], what: str) -> None:
        """Do the tasks of the fleet where its settings want them done; see `run_fleet`."""
        run_fleet(tasks, what, self.fleet, self.run_dir, self.trainers.shows_progress, self._copy_results)

    def _copy_results(self) -> None:
        if self.mirror:
            self.mirror.update(files_of_run(self.run_dir))

    def load_target(self, target_checkpoint: Path | None) -> Trained:
        """The target that `fit` left in the run directory, one from elsewhere, or one that arrived trained.

        Raises:
            InputError: there is none, or it does not fit the config.
        """
        if target_checkpoint is not None:
            model = load_model(target_checkpoint, self.model)
            self._check_split_of(str(target_checkpoint), model)
            return _untold(model, target_checkpoint, hash_of_file(target_checkpoint))
        if (self.run_dir / "target" / "model.ckpt").exists():
            return self.fit_target()
        if not self.model.is_pretrained:
            raise InputError(
                f"{self.run_dir} holds no trained target; run `lightning-mia fit` with the same config and run "
                "directory first, or give --target_checkpoint"
            )
        self._check_split_of(str(self.model.hparams.get("checkpoint", "The model")), self.model)
        return self.as_it_arrives(self.model)

    def as_it_arrives(self, model: SpeechModel) -> Trained:
        """A model with the weights that it is constructed with: those of its checkpoint, or drawn from the seed."""
        sha256 = model.weights_sha256() or hash_of([hyperparameters_of(model), training_seed()])
        return _untold(initialise(model, training_seed()), self.run_dir, sha256)

    def _check_split_of(self, checkpoint: str, model: SpeechModel) -> None:
        theirs, ours = model.origin.get("split"), self.data.split.sha256
        if theirs is None and self.data.split.drawn:
            raise InputError(
                f"{checkpoint} does not say what it was trained on, and a split drawn now would be invented: give "
                "a manifest with a member column"
            )
        if theirs is not None and theirs != ours:
            raise InputError(
                f"{checkpoint} was trained on another split (hash {theirs[:12]} there, {ours[:12]} in {self.run_dir}): "
                "its members are not the ones judged here; use the corpus, design and data.split_seed of its training"
            )

    def control_models(self, target: Trained) -> dict[str, Trained]:
        """The models that cannot know the members, as far as they are asked for and can be had."""
        arrived = self.model.is_pretrained and "steps" not in target.record
        models: dict[str, Trained] = {}
        if self.controls.untrained:
            models["untrained"] = self.as_it_arrives(self.model.untrained()) if arrived else self.fit_untrained()
        if self.controls.wrong_model:
            wrong_model = self._arrived_wrong_model() if arrived else self.fit_wrong_model()
            if wrong_model:
                models["wrong_model"] = wrong_model
            else:
                self.notes.append(
                    "No other checkpoint that was trained on neither side was given "
                    "(--controls.wrong_model_checkpoint), so the wrong-model control was left out."
                    if arrived
                    else "There are no auxiliary recordings, so the wrong-model control was left out."
                )
        return models

    def _arrived_wrong_model(self) -> Trained | None:
        checkpoint = self.controls.wrong_model_checkpoint
        if checkpoint is None:
            return None
        return self.as_it_arrives(type(self.model)(**{**hyperparameters_of(self.model), "checkpoint": checkpoint}))


def _untold(model: SpeechModel, checkpoint: Path, sha256: str) -> Trained:
    """A model that we did not train, so that there is no record of it."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Trained(model.eval(), checkpoint, sha256, {"parameters": parameters})
