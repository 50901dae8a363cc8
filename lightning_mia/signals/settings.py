"""Settings of the probe."""

from dataclasses import dataclass

from lightning_mia.signals.encoder_outputs import EncoderAnswers
from lightning_mia.utilities.errors import InputError


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

    n_masks: int = 8
    mask_seed: int = 0
    batch_seconds: float = 60.0
    num_workers: int = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        if self.n_masks < 1:
            raise InputError(f"probe.n_masks is {self.n_masks}: give 1 or more")
        if self.batch_seconds <= 0:
            raise InputError(f"probe.batch_seconds is {self.batch_seconds}: give a positive number of seconds")

    @property
    def encoder_outputs(self) -> EncoderAnswers:
        """The signal group that every audit measures."""
        return EncoderAnswers(self.n_masks, self.mask_seed)
