"""Which controls stand beside the attacks."""

from dataclasses import dataclass, field

from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class ControlSettings:
    """Controls that are run; the blind control always is.

    Args:
        untrained: probe the same architecture with fresh weights.
        wrong_model: train the same model on the auxiliary recordings alone, and score the target's labels with
            its answers; without it a split that was brought cannot show a leak.
        wrong_model_checkpoint: a checkpoint that was trained on neither side, where the target is one that
            arrived trained: a folder or a hub name, like --model.checkpoint.
    """

    untrained: bool = True
    wrong_model: bool = True
    wrong_model_checkpoint: str | None = None


@dataclass(frozen=True)
class PositiveControlSettings:
    """How the positive control goes on training.

    Args:
        exposures: how many times the random half is trained on; one training for each, whose schedule ends there.
        n_units: recordings (at speaker level: speakers) that are drawn, half of them trained on; an upper bound.
        seed: of that draw.
    """

    exposures: list[int] = field(default_factory=lambda: [1, 3, 10, 30])
    n_units: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if not self.exposures or min(self.exposures) < 1:
            raise InputError(f"exposure.exposures is {self.exposures}: give numbers of epochs from 1")
        if self.n_units < 8:
            raise InputError(f"exposure.n_units is {self.n_units}: give 8 or more")
