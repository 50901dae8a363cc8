"""Settings of the utility measurements."""

from dataclasses import dataclass
from typing import Annotated, Literal

from lightning_mia.utilities.ranges import PositiveShare, Range, Seed, check_fields

Task = Literal["none", "speaker", "keyword"]


@dataclass(frozen=True)
class UtilitySettings:
    """Utility of the target on held-out recordings.

    Measured by linear-probe accuracy and pretext score, against an untrained model.

    Args:
        probe: label that a linear probe on mean-pooled hidden states predicts: `speaker`; `keyword` (the corpus's
            column text), of speakers outside the probe's training folds; `none`: no probe.
        mask_probability: mask probability of the pretext task, to compare models that were trained with different ones;
            by default the model's own.
        n_recordings: maximum number of recordings; fewer widen the interval.
        seed: seed of the draw of recordings and of the probe's folds.

    Example:
        >>> UtilitySettings(probe="speaker").enabled, UtilitySettings().enabled
        (True, False)
    """

    probe: Task = "none"
    mask_probability: PositiveShare | None = None
    n_recordings: Annotated[int, Range(2, 10_000_000)] = 1000
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_fields(self, "utility.")

    @property
    def enabled(self) -> bool:
        """Whether utility is measured."""
        return self.probe != "none" or self.mask_probability is not None
