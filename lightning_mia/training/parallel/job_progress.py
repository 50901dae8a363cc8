"""Progress of parallel jobs in one bar."""

import sys

from lightning_mia.training.parallel.scheduler import ReportProgress
from lightning_mia.utilities.progress_bar import Progress, tqdm


class JobProgress(Progress):
    """Progress of a job in another process.

    Args:
        report: takes the share of the job done since the last call.
        total: expected work of the job, in any unit.

    Example:
        >>> shares = []
        >>> progress = JobProgress(shares.append, total=8.0)
        >>> with progress.task("target: answers", work=8.0):
        ...     progress.advance(2.0)
        >>> shares
        [0.25, 0.75]
    """

    def __init__(self, report: ReportProgress, total: float) -> None:
        super().__init__(total)
        self.report, self.reported = report, 0.0

    def show(self) -> None:
        """Report what has been done since the last call."""
        share = 1.0 if self.done >= self.total else self.done / self.total
        if share > self.reported:
            self.report(share - self.reported)
            self.reported = share


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
