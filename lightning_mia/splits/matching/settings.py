"""Settings of matching members and non-members."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import PositiveShare, Range, Seed, check_fields


@dataclass(frozen=True)
class Matching:
    """Matching of the members and non-members of predefined splits.

    Args:
        duration: `nearest` pairs members with non-members of similar duration, one to one; `histogram` keeps the same
            ratio of members to non-members in every bin of durations, and so more recordings if one class is larger.
        tolerance: largest difference between the durations of a pair, or width of a bin, as a fraction of the duration.
        utterances_per_speaker: keep equally many recordings of every speaker: the number that nine in ten of the
            member and of the non-member speakers have.
        crop_seconds: crop every recording to this length (seconds), and exclude shorter ones.
        crop_from: crop at the `start`, or `anywhere`: at a position derived from the id. The latter contains the start
            of a long recording less often than that of a short one.
        seed: decides which of several equally suitable recordings are kept.

    Example:
        >>> Matching(duration="nearest", tolerance=0.1, crop_seconds=2).steps
        ['nearest duration within 10 %', 'cropped to 2 s']
    """

    duration: Literal["none", "histogram", "nearest"] = "none"
    tolerance: PositiveShare = 0.05
    utterances_per_speaker: bool = False
    crop_seconds: Annotated[float, Range(0.1)] | None = None
    crop_from: Literal["start", "anywhere"] = "start"
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        if not 0 < self.tolerance <= 1:
            raise InputError(f"matching.tolerance is {self.tolerance}: give a share of the duration, such as 0.05")
        if self.crop_seconds is not None and not 0.1 <= self.crop_seconds < np.inf:
            raise InputError(f"matching.crop_seconds is {self.crop_seconds}: give 0.1 seconds or more")
        check_fields(self, "matching.")

    @property
    def enabled(self) -> bool:
        """Whether recordings are matched or cropped."""
        return bool(self.steps)

    @property
    def max_log_difference(self) -> float:
        """Tolerance as a difference of log durations."""
        return float(np.log1p(self.tolerance))

    @property
    def steps(self) -> list[str]:
        """Descriptions of the enabled steps."""
        share = f"{100 * self.tolerance:g} %"
        steps = {"none": [], "nearest": [f"nearest duration within {share}"], "histogram": [f"bins of {share}"]}
        return [
            *steps[self.duration],
            *(["equally many recordings per speaker"] if self.utterances_per_speaker else []),
            *([f"cropped to {self.crop_seconds:g} s"] if self.crop_seconds is not None else []),
        ]

    @property
    def remedy(self) -> str:
        """Advice if too few recordings are left."""
        remedies = [
            *(["raise matching.tolerance, or crop instead"] if self.duration != "none" else []),
            *(["disable matching.utterances_per_speaker"] if self.utterances_per_speaker else []),
            *(["lower matching.crop_seconds"] if self.crop_seconds is not None else []),
        ]
        return f"{', '.join(remedies)}, or add recordings"
