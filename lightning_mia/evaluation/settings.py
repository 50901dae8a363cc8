"""What of the evaluation can be chosen, all of it with a default that needs no thought."""

from dataclasses import dataclass, field

from lightning_mia.utilities.errors import InputError

MIN_N_REDRAWS = 1000  # the smallest p-value is 1 / (1 + n_redraws): the blind gate at .001 needs as many


@dataclass(frozen=True)
class EvaluationSettings:
    """How scores are judged.

    Args:
        n_redraws: How many times the split is redrawn by its own mechanism for the p-values; at least 1000.
        n_bootstraps: How many times speakers are drawn with replacement for the intervals; at least 100.
        fprs: False positive rates, each between 0 and 1, at which the true positive rate is read off.
        seed: Seed of the redraws and the bootstraps; not the seed of the training or of the split.
    """

    n_redraws: int = 1000
    n_bootstraps: int = 1000
    fprs: list[float] = field(default_factory=lambda: [0.01, 0.1])
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that no p-value, interval or rate can be made with."""
        if self.n_redraws < MIN_N_REDRAWS:
            raise InputError(f"evaluation.n_redraws is {self.n_redraws}: p-values < .001 need {MIN_N_REDRAWS} or more")
        if self.n_bootstraps < 100:
            raise InputError(f"evaluation.n_bootstraps is {self.n_bootstraps}: a standard error needs 100 or more")
        if not self.fprs or not all(0 < fpr < 1 for fpr in self.fprs):
            raise InputError(f"evaluation.fprs is {self.fprs}: give one or more rates between 0 and 1")
        if self.seed < 0:
            raise InputError(f"evaluation.seed is {self.seed}: give 0 or more")
