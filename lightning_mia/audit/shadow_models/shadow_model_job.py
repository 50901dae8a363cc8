"""Job of one shadow model: train, then probe."""

import copy
from dataclasses import dataclass, replace
from typing import Any

from lightning_mia.audit.probing import ProbePlan
from lightning_mia.audit.shadow_models.external_shadow_models import ExternalCheckpoint
from lightning_mia.training.job import TrainingJob
from lightning_mia.training.parallel.job_progress import JobProgress
from lightning_mia.training.parallel.scheduler import ReportProgress
from lightning_mia.training.progress import TrainingWork, epoch_work
from lightning_mia.training.train import Trained
from lightning_mia.utilities.progress_bar import Progress


@dataclass(frozen=True)
class ShadowModelJob:
    """Training and probing of one shadow model; picklable.

    Attributes:
        training: training run of the model, or what is loaded in its place.
        probe_plan: how the trained model is probed; None: not at all.
    """

    training: TrainingJob | ExternalCheckpoint
    probe_plan: ProbePlan | None = None

    @property
    def name(self) -> str:
        """Name of the shadow model, such as "shadows/003"."""
        return self.training.name

    @property
    def done(self) -> bool:
        """Whether the model is trained and its signals are cached.

        Raises:
            InputError: the folder was created with other settings, or contains another model.
        """
        if not self.training.done:
            return False
        trained = self.training.run()
        return self.probe_plan is None or self.probe_plan.is_cached(self.name, trained.model, trained.sha256)

    @property
    def work(self) -> float:
        """Expected work that is left: audio (seconds) times passes."""
        training, plan = self.training, self.probe_plan
        if isinstance(training, TrainingJob) and not training.done:
            model = copy.copy(training.model)
            model.origin = {"training": training.kind}  # as it will have
            return training.work + (sum(plan.works(self.name, model, "").values()) if plan else 0.0)
        trained = training.run()
        return sum(plan.works(self.name, trained.model, trained.sha256).values()) if plan else 0.0

    def run(self, report: ReportProgress) -> Trained:
        """Train and probe the model in another process.

        Args:
            report: callback for the fraction of the job (0 to 1) done since the last call.
        """
        progress = JobProgress(report, self.work)
        trained = self.run_here(progress)
        progress.show()
        return trained

    def run_here(self, progress: Progress) -> Trained:
        """Train and probe the model, skipping finished steps.

        Args:
            progress: takes the work done.
        """
        training = self.training
        if isinstance(training, TrainingJob):
            with progress.task(f"{self.name}: training", training.work):
                trained = training.run([TrainingWork(progress, epoch_work(training.model, training.recordings))])
        else:
            trained = training.run()
        if self.probe_plan:
            self.probe_plan.signals(self.name, trained.model, trained.sha256, progress)
        return trained

    def without_progress_bars(self) -> "ShadowModelJob":
        """Return the job without its own progress bars."""
        return self._with_trainer_options(enable_progress_bar=False)

    def on_one_device(self) -> "ShadowModelJob":
        """Return the job with its Trainer restricted to one device."""
        return self._with_trainer_options(devices=1)

    def _with_trainer_options(self, **options: Any) -> "ShadowModelJob":
        trainers = self.training.trainers.with_options(**options)
        plan = self.probe_plan and replace(self.probe_plan, trainers=self.probe_plan.trainers.with_options(**options))
        return ShadowModelJob(replace(self.training, trainers=trainers), plan)
