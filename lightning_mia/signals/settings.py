"""Settings of the probe."""

from dataclasses import dataclass
from typing import Annotated

from lightning_mia.signals.encoder_outputs import EncoderAnswers
from lightning_mia.utilities.ranges import Processes, Range, Seconds, Seed, check_fields


@dataclass(frozen=True)
class ProbeSettings:
    """Measurement of the membership signals.

    Args:
        n_masks: masks over which a recording's pretext score is averaged; the same for every model.
        mask_seed: seed of those masks.
        batch_seconds: audio in one batch (seconds); does not change the signals.
        num_workers: processes that read audio; does not change the signals.

    Example:
        >>> ProbeSettings(n_masks=4).encoder_outputs
        EncoderAnswers(n_masks=4, mask_seed=0)
    """

    n_masks: Annotated[int, Range(1, 10_000)] = 16
    mask_seed: Seed = 0
    batch_seconds: Seconds = 60.0
    num_workers: Processes = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_fields(self, "probe.")

    @property
    def encoder_outputs(self) -> EncoderAnswers:
        """The signal group that every audit measures."""
        return EncoderAnswers(self.n_masks, self.mask_seed)
