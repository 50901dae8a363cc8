"""How the two sides of a split that the user brings are to be made alike."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class Matching:
    """How members and non-members of a ready-made split are made alike; by default not at all.

    Args:
        duration: `nearest` pairs members with non-members of like duration, one to one; `histogram` keeps in every
            bin of durations as many members for each non-member, and so more where one side is far larger.
        tolerance: how far apart the durations of a pair may be, or how wide a bin is, as a share of the duration.
        utterances_per_speaker: keep equally many recordings of every speaker: as many as nine in ten of the speakers
            of either side have.
        crop_seconds: cut every recording to this length (seconds), and leave out shorter ones.
        crop_from: cut from the `start`, or from `anywhere`: a place that follows from the id alone. The latter hears
            the start of a long recording less often than that of a short one.
        seed: of what is left to chance: which of several recordings that fit equally well is kept.
    """

    duration: Literal["none", "histogram", "nearest"] = "none"
    tolerance: float = 0.05
    utterances_per_speaker: bool = False
    crop_seconds: float | None = None
    crop_from: Literal["start", "anywhere"] = "start"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that match nothing."""
        if not 0 < self.tolerance <= 1:
            raise InputError(f"matching.tolerance is {self.tolerance}: give a share of the duration, such as 0.05")
        if self.crop_seconds is not None and not 0.1 <= self.crop_seconds < np.inf:
            raise InputError(f"matching.crop_seconds is {self.crop_seconds}: give 0.1 seconds or more")

    @property
    def enabled(self) -> bool:
        """Whether anything is to be matched or cropped."""
        return bool(self.parts)

    @property
    def widest(self) -> float:
        """The tolerance, between logarithms of durations."""
        return float(np.log1p(self.tolerance))

    @property
    def parts(self) -> list[str]:
        """What is matched, in words.

        >>> Matching(duration="nearest", crop_seconds=2).parts
        ['nearest duration within 5 %', 'cut to 2 s']
        """
        share = f"{100 * self.tolerance:g} %"
        parts = {"none": [], "nearest": [f"nearest duration within {share}"], "histogram": [f"bins of {share}"]}
        return [
            *parts[self.duration],
            *(["equally many recordings a speaker"] if self.utterances_per_speaker else []),
            *([f"cut to {self.crop_seconds:g} s"] if self.crop_seconds is not None else []),
        ]

    @property
    def remedy(self) -> str:
        """What to change where too little is left."""
        remedies = [
            *(["raise matching.tolerance, or crop instead"] if self.duration != "none" else []),
            *(["leave matching.utterances_per_speaker out"] if self.utterances_per_speaker else []),
            *(["lower matching.crop_seconds"] if self.crop_seconds is not None else []),
        ]
        return f"{', '.join(remedies)}, or add recordings"
