"""Settings of the probe."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from lightning_mia.signals.encoder_outputs import EncoderAnswers
from lightning_mia.utilities.ranges import Processes, Range, Seconds, Seed, check_fields

MASKED_SECONDS = 32.0
"""Audio that is scored under masks, for a recording of median length (seconds)."""
MIN_MASKS, MAX_MASKS = 2, 16


@dataclass(frozen=True)
class ProbeSettings:
    """Measurement of the membership signals.

    Args:
        n_masks: masks over which a recording's pretext score is averaged, the same for every model; null: 32 s divided
            by the median length of the recordings in question, but 2 to 16, because noise falls with the masked audio.
        mask_seed: seed of those masks.
        batch_seconds: audio in one batch (seconds); does not change the signals.
        num_workers: processes that read audio; does not change the signals.

    Example:
        >>> ProbeSettings(n_masks=4).encoder_outputs
        EncoderAnswers(n_masks=4, mask_seed=0)
        >>> [ProbeSettings().for_durations([seconds]).n_masks for seconds in (1.0, 2.0, 5.0, 10.0, 30.0)]
        [16, 16, 7, 4, 2]
    """

    n_masks: Annotated[int, Range(1, 10_000)] | None = None
    mask_seed: Seed = 0
    batch_seconds: Seconds = 60.0
    num_workers: Processes = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_fields(self, "probe.")

    @property
    def encoder_outputs(self) -> EncoderAnswers:
        """The signal group that every audit measures."""
        return EncoderAnswers(self.n_masks or MAX_MASKS, self.mask_seed)

    def for_durations(self, durations: Sequence[float] | np.ndarray) -> "ProbeSettings":
        """Return the settings with a number of masks.

        Args:
            durations: length of every recording in question (seconds).
        """
        return self if self.n_masks else replace(self, n_masks=_masks_for(float(np.median(durations))))


def _masks_for(seconds: float) -> int:
    return min(max(math.ceil(MASKED_SECONDS / seconds), MIN_MASKS), MAX_MASKS)
