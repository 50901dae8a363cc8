"""Progress of parallel jobs in one bar."""

import sys
from typing import Any

import lightning as L

from lightning_mia.training.parallel.scheduler import ReportProgress
from lightning_mia.utilities.progress_bar import tqdm


class JobProgress:
    """Progress of a job of equal parts.

    The parts are one training, then one probe per signal group.

    Args:
        report: takes the share done since the last call.
        n_parts: parts of the job.

    Example:
        >>> shares = []
        >>> progress = JobProgress(shares.append, n_parts=2)
        >>> progress.update(0.25)
        >>> progress.update(1.0)
        >>> shares
        [0.25, 0.75]
    """

    def __init__(self, report: ReportProgress, n_parts: int) -> None:
        self.report, self.n_parts = report, n_parts
        self.reported = 0.0

    def update(self, share: float) -> None:
        """Report progress as a fraction of the whole job."""
        if share > self.reported:
            self.report(share - self.reported)
            self.reported = share

    def training(self) -> L.Callback:
        """Create the callback for the training, the first part."""
        return _TrainingProgress(lambda share: self.update(share / self.n_parts))

    def probing(self) -> L.Callback:
        """Create the callback for the probes, one part each."""
        return _ProbingProgress(lambda parts: self.update((1 + parts) / self.n_parts))


class _TrainingProgress(L.Callback):
    """Reports the share of optimizer steps taken."""

    def __init__(self, update: ReportProgress) -> None:
        self.update = update
        self.n_steps = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Read the number of steps, and those already taken."""
        self.n_steps = trainer.estimated_stepping_batches
        self._report(trainer)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report the steps taken."""
        self._report(trainer)

    def _report(self, trainer: L.Trainer) -> None:
        known = 0 < self.n_steps < float("inf")
        self.update(min(1.0, trainer.global_step / self.n_steps) if known else 0.0)


class _ProbingProgress(L.Callback):
    """Reports the number of probes done, including fractions."""

    def __init__(self, update: ReportProgress) -> None:
        self.update = update
        self.n_done = 0

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Report the batches probed."""
        self.update(self.n_done + (batch_idx + 1) / max(1, sum(trainer.num_predict_batches)))

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Count a probe."""
        self.n_done += 1


class JobsBar:
    """Progress bar from 0 to the number of jobs.

    Args:
        label: label of the bar.
        n_jobs: number of jobs.
        enabled: whether the bar is shown.
        unit: unit of the count, in the plural.
    """

    def __init__(self, label: str, n_jobs: int, enabled: bool, unit: str = "models") -> None:
        self.bar = tqdm(
            total=n_jobs,
            desc=label,
            dynamic_ncols=True,
            file=sys.stderr,
            disable=not enabled,
            mininterval=0.5,
            bar_format=f"{{desc}}: {{percentage:3.0f}}%|{{bar}}| {{n:.1f}}/{{total}} {unit} "
            "[{elapsed}<{remaining}]",
        )

    def __enter__(self) -> "JobsBar":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def advance(self, share: float) -> None:
        """Advance by a share of one job.

        Never beyond the end: rounded shares may sum to more.
        """
        self.bar.update(min(share, self.bar.total - self.bar.n))
