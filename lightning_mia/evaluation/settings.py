"""Settings of the evaluation."""

from dataclasses import dataclass, field
from typing import Annotated

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import InnerShare, Range, Seed, check_fields

ALPHA = 0.05
"""Significance level of corrected p-values."""

MIN_N_REDRAWS = 1000  # the smallest p-value is 1 / (1 + n_redraws), and the blind baseline's limit is .001


@dataclass(frozen=True)
class EvaluationSettings:
    """Resampling, false positive rates and seed of the evaluation.

    Args:
        n_redraws: number of redrawn splits for the p-values; at least 1000. A split with fewer labellings is redrawn
            to each of them, and the blind baseline of at most 100 units is refitted to up to 5000.
        n_bootstraps: number of draws of speakers with replacement for the intervals; at least 100.
        fprs: false positive rates, each between 0 and 1, at which the true positive rate is reported.
        seed: seed of the redraws and the bootstraps; independent of the seeds of training and split.

    Raises:
        InputError: a setting allows no p-value, interval or rate.

    Example:
        >>> EvaluationSettings(fprs=[0.001, 0.01])
        EvaluationSettings(n_redraws=1000, n_bootstraps=1000, fprs=[0.001, 0.01], seed=0)
    """

    n_redraws: Annotated[int, Range(0, 1_000_000)] = 1000
    n_bootstraps: Annotated[int, Range(0, 1_000_000)] = 1000
    fprs: list[InnerShare] = field(default_factory=lambda: [0.01, 0.1])
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        if self.n_redraws < MIN_N_REDRAWS:
            raise InputError(f"evaluation.n_redraws is {self.n_redraws}: p-values < .001 need {MIN_N_REDRAWS} or more")
        if self.n_bootstraps < 100:
            raise InputError(f"evaluation.n_bootstraps is {self.n_bootstraps}: a standard error needs 100 or more")
        if not self.fprs:
            raise InputError("evaluation.fprs is empty: give one or more rates between 0 and 1")
        check_fields(self, "evaluation.")
