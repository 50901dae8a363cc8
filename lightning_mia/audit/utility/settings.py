"""Whether and how the usefulness of a target is measured."""

from dataclasses import dataclass
from typing import Literal

from lightning_mia.utilities.errors import InputError

Task = Literal["none", "speaker", "keyword"]


@dataclass(frozen=True)
class UtilitySettings:
    """What the target is still good for, measured on recordings that it has never seen, beside an untrained model.

    Args:
        probe: what a linear probe on mean-pooled hidden states has to tell: the speaker, or the keyword (the corpus'
            column text) of speakers whom the probe has not heard; none: no probe.
        mask_probability: of the masks of the pretext task, the same for models that were trained with different ones;
            by default the model's own.
        n_recordings: at most so many recordings; the fewer there are, the wider the interval.
        seed: of their draw, and of the probe's folds.
    """

    probe: Task = "none"
    mask_probability: float | None = None
    n_recordings: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what can be measured on no corpus."""
        if self.mask_probability is not None and not 0 < self.mask_probability <= 1:
            raise InputError(f"utility.mask_probability is {self.mask_probability}: give one above 0, and at most 1")
        if self.n_recordings < 2:
            raise InputError(f"utility.n_recordings is {self.n_recordings}: give 2 or more")

    @property
    def enabled(self) -> bool:
        """Whether anything is measured."""
        return self.probe != "none" or self.mask_probability is not None
