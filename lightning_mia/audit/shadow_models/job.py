"""What is to be done for one shadow model: train it, then ask it."""

from dataclasses import dataclass, replace
from typing import Any

from lightning_mia.audit.probing import ProbePlan
from lightning_mia.training.job import TrainingJob
from lightning_mia.training.parallel.progress import JobProgress
from lightning_mia.training.parallel.scheduler import ReportProgress
from lightning_mia.training.train import Trained


@dataclass(frozen=True)
class Task:
    """One shadow model; can be handed to another process.

    Attributes:
        training: how it is trained.
        interview: what it is asked once it is trained; None: nothing.
    """

    training: TrainingJob
    interview: ProbePlan | None = None

    @property
    def name(self) -> str:
        """Of the shadow model, such as "shadows/003"."""
        return self.training.name

    @property
    def done(self) -> bool:
        """Whether nothing is left to be done.

        Raises:
            InputError: the folder was begun with other settings, or holds another model.
        """
        if not self.training.done:
            return False
        trained = self.training.run()
        return self.interview is None or self.interview.knows(self.name, trained.model, trained.sha256)

    def run(self, tell: ReportProgress) -> Trained:
        """Train and ask, as far as it is not done yet; what is done lies in the run directory.

        Args:
            tell: is called with the share of the task (0 to 1) that was done since the last call.
        """
        done = JobProgress(tell, 1 + (len(self.interview.groups) if self.interview else 0))
        trained = self.training.run([done.training()])
        if self.interview:
            self.interview.signals(self.name, trained.model, trained.sha256, [done.probing()])
        done.update(1.0)
        return trained

    def quiet(self) -> "Task":
        """The same without progress bars of its own: the fleet has one for all."""
        return self._with(enable_progress_bar=False)

    def on_one_device(self) -> "Task":
        """The same in a process that sees one GPU at most."""
        return self._with(devices=1)

    def _with(self, **options: Any) -> "Task":
        def changed(one: Any) -> Any:
            return replace(one, trainers=one.trainers.with_options(**options))

        return Task(changed(self.training), self.interview and changed(self.interview))
