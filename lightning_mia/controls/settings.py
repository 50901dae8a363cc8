"""Which controls stand beside the attacks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ControlSettings:
    """Controls that are run; the blind control always is.

    Args:
        untrained: probe the same architecture with fresh weights.
        wrong_model: train the same model on the auxiliary recordings alone, and score the target's labels with
            its answers; without it a split that was brought cannot show a leak.
    """

    untrained: bool = True
    wrong_model: bool = True
