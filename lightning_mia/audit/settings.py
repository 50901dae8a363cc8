"""Options of the controls."""

from dataclasses import dataclass, field
from typing import Annotated

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import Count, Range, Seed, check_fields


@dataclass(frozen=True)
class ControlSettings:
    """Controls that run besides the blind baseline.

    Args:
        untrained: probe the same architecture with its initial weights.
        wrong_model: train the same model on auxiliary recordings only, and attack it with the target's labels; without
            this control, the verdict on a user-supplied split is never `leak`.
        wrong_model_checkpoint: wrong model of a pretrained target, trained on neither members nor non-members: a
            folder or a hub name, like --model.checkpoint.
        blind_encoder: Hugging Face encoder that adds a blind baseline on its outputs: a folder or a hub name. You
            vouch that it was trained on neither members nor non-members.

    Example:
        >>> ControlSettings(wrong_model=False)
        ControlSettings(untrained=True, wrong_model=False, wrong_model_checkpoint=None, blind_encoder=None)
    """

    untrained: bool = True
    wrong_model: bool = True
    wrong_model_checkpoint: str | None = None
    blind_encoder: str | None = None


@dataclass(frozen=True)
class PositiveControlSettings:
    """Exposures and size of the positive control.

    Args:
        exposures: numbers of epochs on the random half; each is a separate training run with its own schedule.
        n_units: maximum number of recordings drawn (at speaker level: of speakers); half of them are trained on.
        seed: seed of that draw.

    Raises:
        InputError: no exposures, an exposure below 1, or fewer than 8 units.

    Example:
        >>> PositiveControlSettings(exposures=[1, 10]).n_units
        200
    """

    exposures: list[Count] = field(default_factory=lambda: [1, 3, 10, 30])
    n_units: Annotated[int, Range(8, 100_000_000)] = 200
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        if not self.exposures:
            raise InputError("exposure.exposures is empty: give numbers of epochs from 1")
        check_fields(self, "exposure.")
