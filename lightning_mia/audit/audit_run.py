"""Models of a run: target, controls, shadow models."""

import copy
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from lightning_mia.audit.blind_baselines import BlindBaselines, blind_baselines, log_size, warn_if_refused
from lightning_mia.audit.blind_kinds import blind_kinds
from lightning_mia.audit.external_models import ExternalModels
from lightning_mia.audit.monitor import LeakageMonitor
from lightning_mia.audit.options import DEFAULT_OPTIONS, AuditOptions
from lightning_mia.audit.probing import ProbePlan
from lightning_mia.audit.provenance import summarise_split
from lightning_mia.audit.references import References
from lightning_mia.audit.settings import ControlSettings
from lightning_mia.audit.shadow_models.external_shadow_models import ExternalCheckpoint, ExternalShadowModels
from lightning_mia.audit.shadow_models.like_target import check_like_target
from lightning_mia.audit.shadow_models.of_checkpoint import shadow_model
from lightning_mia.audit.shadow_models.run_jobs import check_executor, expected_work, run_jobs
from lightning_mia.audit.shadow_models.shadow_model_job import ShadowModelJob
from lightning_mia.audit.shadow_models.shared_targets import check_shadow_model, with_targets
from lightning_mia.audit.upload import ResultsUploader, run_files
from lightning_mia.evaluation.reasons import few_speakers
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.evaluation.verdict import MIN_SPEAKERS
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import constructor_arguments
from lightning_mia.models.learned_targets import LearnedTargets
from lightning_mia.splits import Split
from lightning_mia.splits.data_module import SpeechDataModule, SplitCorpus
from lightning_mia.training.exposures import exposure_obstacle, unexposed
from lightning_mia.training.intermediate_checkpoints import length_note
from lightning_mia.training.job import TrainingJob
from lightning_mia.training.parallel.devices import check_one_device
from lightning_mia.training.parallel.settings import FleetSettings
from lightning_mia.training.train import Trained
from lightning_mia.training.trainer_factory import TrainerFactory, training_seed
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of
from lightning_mia.utilities.lightning import is_first_process
from lightning_mia.utilities.progress_bar import Progress, WorkBar

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AuditRun:
    """Trains the models of a run, skipping completed ones.

    Args:
        run_dir: folder of the run.
        model: class and configuration of the target; a pretrained model may itself be the target.
        data: decoded corpus and split, which fixes the number of shadow models.
        trainers: creates the Trainers.
        controls: controls to train.
        fleet: executor of the shadow models.
        monitor: leakage monitor of the target's training.
        uploader: uploads results after every shadow model.
        notes: sentences for the report.
        evaluation: settings of the blind baseline.
        shadow_checkpoints: shadow models that were trained elsewhere; None: they are trained here.

    Example:
        What `AuditTrainer.audit` trains, step by step:

            run = AuditRun.open(TERA(), SpeechDataModule(Manifest("manifest.csv")), TrainerFactory({"max_epochs": 50}))
            target = run.fit_target()
            controls = run.control_models(target)  # {"untrained": …, "wrong_model": …}
    """

    run_dir: Path
    model: SpeechModel
    data: SplitCorpus
    trainers: TrainerFactory
    controls: ControlSettings = field(default_factory=ControlSettings)
    fleet: FleetSettings = field(default_factory=FleetSettings)
    monitor: LeakageMonitor | None = None
    uploader: ResultsUploader | None = None
    notes: tuple[str, ...] = ()
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    shadow_checkpoints: ExternalShadowModels | None = None

    @classmethod
    def open(
        cls,
        model: SpeechModel,
        datamodule: SpeechDataModule,
        trainers: TrainerFactory,
        options: AuditOptions = DEFAULT_OPTIONS,
        monitor: LeakageMonitor | None = None,
        uploader: ResultsUploader | None = None,
        trains_target: bool = True,
    ) -> "AuditRun":
        """Decode the corpus, draw the split, and check the settings.

        Args:
            model: class and configuration of the target.
            datamodule: corpus and design of the split.
            trainers: creates the Trainers.
            options: run directory, controls and shadow models.
            monitor: leakage monitor of the target's training.
            uploader: uploads results after every shadow model.
            trains_target: whether a pretrained model is trained further here, and not itself the target.

        Raises:
            InputError: the corpus cannot be used, or the run was started with other settings.
        """
        if datamodule.spec_augment.enabled and not model.takes_spec_augment:
            raise InputError(
                f"data.spec_augment masks log-mel frames, which {type(model).__name__} does not train on: leave it "
                "out, or use data.time_masking, which works with every family"
            )
        fleet = options.fleet
        if fleet.checkpoints is not None and datamodule.split_folder is None:
            raise InputError(
                "fleet.checkpoints brings shadow models that were trained on the lists of a drawn split: give its "
                "folder (--split), which `lightning-mia split … --shadows N` writes"
            )
        is_target = not (trains_target or options.target_checkpoint or _target_of(options.folder).exists())
        trains_none = fleet.checkpoints is not None or not fleet.size
        is_external = model.is_pretrained and (trains_none or (is_target and fleet.pool == "auxiliary"))
        n_shadows = None if fleet.checkpoints is not None and not fleet.size else fleet.size
        data = datamodule.load(options.folder / "split.csv", n_shadows, fleet.pool, with_background=not is_external)
        shadow_checkpoints = None
        if fleet.checkpoints is not None and data.drawn is not None:
            shadow_checkpoints = ExternalShadowModels.find(fleet.checkpoints, data.drawn, fleet.size)
            data = data.with_shadows(list(shadow_checkpoints.checkpoints), shadow_checkpoints.notes)
        if trainers.per_example.enabled and data.split.unit_exposures(data.split.level):
            raise InputError(
                "trainer.per_example bounds the privacy of recordings that are in an epoch once: leave out "
                "data.design.exposures"
            )
        run = cls(
            options.folder,
            model.for_corpus(*data.texts_and_durations()),
            data,
            trainers,
            options.controls,
            options.fleet,
            monitor,
            uploader,
            notes=(*data.notes, *filter(None, [length_note(trainers.options)])),
            evaluation=options.evaluation,
            shadow_checkpoints=shadow_checkpoints,
        )
        run._check_shadow_models()
        return run

    @property
    def split(self) -> Split:
        """Members and non-members of every model."""
        return self.data.split

    @property
    def external(self) -> ExternalModels:
        """Models of this run that were trained elsewhere."""
        return ExternalModels(self.run_dir, self.model, self.data)

    @cached_property
    def blind_statistics(self) -> dict[str, pd.DataFrame]:
        """Model-free statistics of the evaluated recordings by kind, index = id."""
        data, encoder = self.data, self.controls.blind_encoder
        return blind_kinds(self.split, data.audio, data.table, encoder, self.trainers.device())

    @cached_property
    def blind_baselines(self) -> BlindBaselines:
        """Blind baselines of every level and part."""
        return blind_baselines(self.blind_statistics, self.split, self.evaluation)

    def check_split(self) -> None:
        """Log what prevents a verdict: too few speakers, or a user-supplied split that cannot be assessed.

        Before anything is trained or probed.
        """
        if not is_first_process():
            return
        if self.split.level == "speaker" and (n_speakers := summarise_split(self.split).n_speakers) < MIN_SPEAKERS:
            obstacle = few_speakers(n_speakers, MIN_SPEAKERS)
            log.warning("No verdict will be possible: %s; add speakers", obstacle)
        if self.split.drawn:
            return
        log_size(self.blind_baselines, self.split)
        warn_if_refused(self.blind_baselines, self.split)

    def save_split(self) -> None:
        """Write `split.csv`, or check that it is the same."""
        # All lists of a split drawn before, since a file with some shadow models but not those before is not a split.
        split = self.split if self.shadow_checkpoints is None or self.data.drawn is None else self.data.drawn.split
        split.save_once(self.run_dir / "split.csv")

    def trained_here(self, with_target: bool) -> list[str]:
        """List the models that this run trains, by their folders.

        Args:
            with_target: whether the target is trained here.
        """
        names = ["target"] if with_target else []
        trains_controls = with_target or not self.model.is_pretrained
        if trains_controls and self.controls.wrong_model and self.split.unevaluated_ids():
            names.append("wrong_model")
        if self.shadow_checkpoints is None:
            names += [f"shadows/{number:03d}" for number in range(len(self.split.shadows))]
        return names

    def fit_target(self) -> Trained:
        """Train the target on its members, monitored if requested."""
        self.save_split()
        job = self._target_job()
        if self.monitor and job.done:
            log.info("The target is already trained, so its leakage is not measured again")
        target = job.run([copy.deepcopy(self.monitor).attach(self.data)] if self.monitor else [])
        if obstacle := exposure_obstacle(self.unexposed({"target": target})):
            log.warning("No verdict will be possible: %s", obstacle)
        return target

    def _target_job(self) -> TrainingJob:
        return self.job("target", self.split.training_ids(), training_seed(), monitor=self.monitor)

    def fit_wrong_model(self, target: Trained | None = None) -> Trained | None:
        """Train the same model on auxiliary and background recordings only.

        With the background it differs from the target in the challenge set alone. None if there are neither.

        Args:
            target: the target, whose clusters the model copies if the shadow models do. They were fitted on the
                members, which therefore lie a little closer to them: attacks that compare a model with shadow models
                would otherwise find that the wrong model knows the members less than other recordings.
        """
        ids = self.split.unevaluated_ids()
        return self.train("wrong_model", ids, targets=self._shared_targets(target)) if ids else None

    def fit_untrained(self, target: Trained | None = None) -> Trained:
        """Return the target before its first training step.

        Its learned targets (HuBERT's clusters) are those of the target if the shadow models have them; otherwise they
        are fitted on the recordings of the wrong model or, without any, on members and non-members together.

        Args:
            target: the target.
        """
        ids = self.split.unevaluated_ids() or list(self.split.table["id"])
        return self.train("untrained", ids, max_epochs=0, targets=self._shared_targets(target))

    def _shared_targets(self, target: Trained | None) -> LearnedTargets | None:
        return LearnedTargets.of(target.model, target.checkpoint) if target and self.shares_targets else None

    def train(
        self,
        name: str,
        ids: list[str],
        max_epochs: int | None = None,
        start: Trained | None = None,
        targets: LearnedTargets | None = None,
    ) -> Trained:
        """Train a model like the target, or load it.

        Args:
            name: folder of the training in the run directory.
            ids: recordings to train on.
            max_epochs: number of epochs; by default that of the Trainer's options.
            start: model whose weights training starts from.
            targets: learned targets to copy; by default they are fitted on the recordings.
        """
        self.save_split()
        job = self.job(name, ids, training_seed(), max_epochs, start)
        return (with_targets([job], targets)[0] if targets else job).run()

    def job(
        self,
        name: str,
        ids: list[str],
        seed: int,
        max_epochs: int | None = None,
        start: Trained | None = None,
        monitor: LeakageMonitor | None = None,
        model: SpeechModel | None = None,
    ) -> TrainingJob:
        """Describe a training run; see `train`.

        The settings are those that affect its result. `model` replaces that of the run.
        """
        model = model or self.model
        trainers = self.trainers if max_epochs is None else self.trainers.with_epochs(max_epochs)
        recordings = self.data.training_recordings(ids, seed)
        options = self.data.options
        settings: dict[str, Any] = {
            "split": self.split.sha256,
            "recordings": self.data.audio.data_hash(ids),
            "n_recordings": len(ids),
            "model": type(model).__name__,
            "hyperparameters": constructor_arguments(model),
            "start": start.sha256 if start else model.weights_sha256(),
            "waveforms": {
                **options.training_changes.fingerprint(),
                **options.time_masking.fingerprint(),
                **options.spec_augment.fingerprint(),
            },
            "batches_per_epoch": recordings.n_batches,
            "seed": seed,
            "trainer": trainers.fingerprint(),
        }
        if self.split.inclusion == "independent":  # as many as the coins say, so different for each model
            del settings["n_recordings"]
        if max_epochs == 0:  # no Trainer option changes initial weights, and folders of earlier versions lack this one
            del settings["trainer"]["max_epochs"]
        if model.uses_transcripts:
            settings["transcripts"] = hash_of({utterance: self.data.audio.texts[utterance] for utterance in ids})
        if monitor and (stop := monitor.fingerprint()):
            settings["stop"] = stop
        first = start.model if start else None
        return TrainingJob(name, self.run_dir / name, model, recordings, settings, seed, trainers, first)

    def shadow_model_jobs(
        self, target: Trained | None = None, probe_plan: ProbePlan | None = None
    ) -> list[ShadowModelJob]:
        """List the jobs of all shadow models.

        Args:
            target: the target, if already trained; shadow models must be trained exactly like it, and may copy its
                learned targets.
            probe_plan: how the trained models are probed; None: not at all.

        Raises:
            InputError: the target was trained with other settings, it has no targets to copy, or a shadow model was
                trained with other settings.
        """
        if self.shadow_checkpoints:
            return self._external_shadow_model_jobs(self.shadow_checkpoints, target, probe_plan)
        like_target = self.data.like_target
        model = self.model if like_target else shadow_model(self.external, self.fleet.start, target)
        trainings = [
            self.job(f"shadows/{number:03d}", self.split.training_ids(name), training_seed() + 1 + number, model=model)
            for number, name in enumerate(self.split.shadows)
        ]
        kinds = {training.kind for training in trainings}
        if target and like_target and (kind := target.model.origin.get("training")) not in kinds:
            difference = "does not record how it was trained" if kind is None else "was trained with other settings"
            raise InputError(
                f"{target.checkpoint} {difference}, but shadow models must be trained exactly like the target: train "
                "it here, by `lightning-mia audit` or `fit` with this config, or give --fleet.size 0"
            )
        if targets := self._shared_targets(target):
            trainings = with_targets(trainings, targets)
        for training in trainings:
            check_shadow_model(training, self.shares_targets)
        return [ShadowModelJob(training, probe_plan) for training in trainings]

    def _external_shadow_model_jobs(
        self, models: ExternalShadowModels, target: Trained | None, probe_plan: ProbePlan | None
    ) -> list[ShadowModelJob]:
        checkpoints = models.jobs(constructor_arguments(self.model), type(self.model), self.trainers, training_seed())
        is_lightning = target is not None and target.checkpoint.is_file()
        return [
            ShadowModelJob(replace(checkpoint, is_lightning=is_lightning), probe_plan) for checkpoint in checkpoints
        ]

    def check_shadow_models(self, target: Trained) -> None:
        """Check that shadow models match the target, before the controls are trained.

        Args:
            target: the target.

        Raises:
            InputError: they are not, or a shadow model that was trained elsewhere was not trained on its list.
        """
        trainings = [job.training for job in self.shadow_model_jobs(target)]
        checkpoints = [training for training in trainings if isinstance(training, ExternalCheckpoint)]
        if checkpoints:
            check_like_target(target, checkpoints, self.trainers.shows_progress)
        for name, checkpoint in zip(self.split.shadows, checkpoints, strict=False):
            if checkpoint.is_lightning:
                self.external.check_origin(checkpoint.checkpoint, checkpoint.run().model, name)

    @property
    def shares_targets(self) -> bool:
        """Whether shadow models and controls copy the target's learned targets."""
        is_external = self.model.is_pretrained and not self.data.like_target
        has_targets = self.model.learned_targets is not None and not is_external
        return self.shadow_checkpoints is None and self.fleet.targets == "victim" and has_targets

    def _check_shadow_models(self) -> None:
        """Validate shadow-model settings before the long training of the target."""
        if not self.split.shadows:
            return
        if self.monitor and self.monitor.limits:
            limits = " and ".join(self.monitor.limits)
            raise InputError(
                f"A monitor with {limits} ends the target's training early, but shadow models must be trained exactly "
                f"like the target: leave {limits} out, or give --fleet.size 0"
            )
        check_one_device(self.trainers, self.fleet)
        check_executor(self.fleet)
        self.shadow_model_jobs()

    def train_shadow_models(self) -> None:
        """Train the missing shadow models.

        Raises:
            InputError: they copy the targets of a target that is not trained.
        """
        jobs = self.shadow_model_jobs(self._trained_target() if self.shares_targets else None)
        self.save_split()
        with WorkBar("Training shadow models", expected_work(jobs, self.fleet), self.trainers.shows_progress) as bar:
            self.run_jobs(jobs, bar)

    def _trained_target(self) -> Trained:
        job = self._target_job()
        if not job.done:
            raise InputError(
                f"{self.run_dir} holds no trained target, whose clusters the shadow models copy: run `lightning-mia "
                "fit` with the same config and run directory first, or give --fleet.targets own"
            )
        return job.run()

    def run_jobs(self, jobs: Sequence[ShadowModelJob], progress: Progress) -> None:
        """Run jobs on the chosen executor; see `run_jobs`."""
        run_jobs(jobs, progress, self.fleet, self.run_dir, self._upload)

    def _upload(self) -> None:
        if self.uploader:
            self.uploader.update(run_files(self.run_dir, self.uploader.with_names))

    def load_target(self, checkpoint: Path | None) -> Trained:
        """Load the target.

        Args:
            checkpoint: Lightning checkpoint; None: that of `fit` in the run directory, else the pretrained model.

        Raises:
            InputError: there is no target, or it does not match the config.
        """
        if checkpoint is not None:
            return self.external.load(checkpoint)
        if _target_of(self.run_dir).exists():
            return self.fit_target()
        if not self.model.is_pretrained:
            raise InputError(
                f"{self.run_dir} holds no trained target; run `lightning-mia fit` with the same config and run "
                "directory first, or give --target_checkpoint"
            )
        return self.external.pretrained_target()

    def load_references(self, target: Trained) -> References | None:
        """Load the reference models; None without any.

        Args:
            target: the target.
        """
        if not self.fleet.references:
            return None
        wrong_model = self._is_external(target) and self.controls.wrong_model
        first_is_wrong_model = wrong_model and self.controls.wrong_model_checkpoint is None
        return References.load(self.fleet.references, target, self.external, first_is_wrong_model)

    def control_models(self, target: Trained, references: References | None = None) -> dict[str, Trained]:
        """Train or load the control models.

        Args:
            target: the target.
            references: reference models, the first of which may be the wrong model.
        """
        external = self._is_external(target)
        models: dict[str, Trained] = {}
        if self.controls.untrained:
            initial = self.model.untrained()
            models["untrained"] = self.external.as_constructed(initial) if external else self.fit_untrained(target)
        if self.controls.wrong_model:
            wrong_model = self._external_wrong_model(references) if external else self.fit_wrong_model(target)
            if wrong_model:
                models["wrong_model"] = wrong_model
        return models

    def unexposed(self, models: Mapping[str, Trained]) -> dict[str, list[str]]:
        """List, for each model, the training recordings it never saw.

        Args:
            models: "target" and the control models.
        """
        sets = {"target": self.split.training_ids(), "wrong_model": self.split.unevaluated_ids()}
        return {name: unexposed(trained, sets[name]) for name, trained in models.items() if name in sets}

    def first_is_wrong_model(self, controls: Mapping[str, Trained]) -> bool:
        """Whether the first shadow model is the wrong model too.

        Of a target that was trained elsewhere, where none is trained on a challenge unit, and there is no other.

        Args:
            controls: the control models.
        """
        is_needed = self.controls.wrong_model and "wrong_model" not in controls
        return is_needed and not self.data.like_target and self.split.pool() is not None

    def missing_control_notes(self, target: Trained, models: Collection[str]) -> list[str]:
        """Explain a missing wrong-model control.

        Args:
            target: the target.
            models: names of the models that were probed.
        """
        if not self.controls.wrong_model or "wrong_model" in models:
            return []
        if self._is_external(target):
            return [
                "The wrong-model control was omitted: no checkpoint trained on neither members nor non-members was "
                "given (--controls.wrong_model_checkpoint)."
            ]
        return ["The wrong-model control was omitted: there are no auxiliary or background recordings."]

    def _is_external(self, target: Trained) -> bool:
        return self.model.is_pretrained and "steps" not in target.record

    def _external_wrong_model(self, references: References | None) -> Trained | None:
        if references and "wrong_model" in references.models:
            return references.models["wrong_model"]
        checkpoint = self.controls.wrong_model_checkpoint
        return None if checkpoint is None else self.external.pretrained(checkpoint)


def _target_of(run_dir: Path) -> Path:
    return run_dir / "target" / "model.ckpt"
