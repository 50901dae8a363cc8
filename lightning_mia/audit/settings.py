"""Options of the controls."""

from dataclasses import dataclass, field

from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class ControlSettings:
    """Controls that run besides the blind one.

    Args:
        untrained: probe the same architecture with its initial weights.
        wrong_model: train the same model on auxiliary recordings only, and attack it with the target's labels; without
            this control, a user-supplied split cannot show a leak.
        wrong_model_checkpoint: for a pretrained target: a checkpoint trained on neither members nor non-members, a
            folder or a hub name, like --model.checkpoint.

    Example:
        >>> ControlSettings(wrong_model=False)
        ControlSettings(untrained=True, wrong_model=False, wrong_model_checkpoint=None)
    """

    untrained: bool = True
    wrong_model: bool = True
    wrong_model_checkpoint: str | None = None


@dataclass(frozen=True)
class PositiveControlSettings:
    """Exposures and size of the positive control.

    Args:
        exposures: epochs on the random half; one training for each, whose schedule ends there.
        n_units: maximum number of recordings (at speaker level: speakers) drawn; half of them are trained on.
        seed: of that draw.

    Raises:
        InputError: no exposure, one below 1, or fewer than 8 units.

    Example:
        >>> PositiveControlSettings(exposures=[1, 10]).n_units
        200
    """

    exposures: list[int] = field(default_factory=lambda: [1, 3, 10, 30])
    n_units: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        if not self.exposures or min(self.exposures) < 1:
            raise InputError(f"exposure.exposures is {self.exposures}: give numbers of epochs from 1")
        if self.n_units < 8:
            raise InputError(f"exposure.n_units is {self.n_units}: give 8 or more")
