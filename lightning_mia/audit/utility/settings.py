"""Settings of the utility measurements."""

from dataclasses import dataclass
from typing import Literal

from lightning_mia.utilities.errors import InputError

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
    mask_probability: float | None = None
    n_recordings: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        if self.mask_probability is not None and not 0 < self.mask_probability <= 1:
            raise InputError(f"utility.mask_probability is {self.mask_probability}: give a value above 0, at most 1")
        if self.n_recordings < 2:
            raise InputError(f"utility.n_recordings is {self.n_recordings}: give 2 or more")

    @property
    def enabled(self) -> bool:
        """Whether utility is measured."""
        return self.probe != "none" or self.mask_probability is not None
