"""The learning rate over a training run."""

from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lightning_mia.errors import InputError


def warmup_then_decay(total_steps: float, warmup_fraction: float) -> Callable[[int], float]:
    """Rise linearly to 1, then fall linearly to 0 at the last step.

    >>> factor = warmup_then_decay(total_steps=20, warmup_fraction=0.1)
    >>> [round(factor(step), 2) for step in (0, 1, 2, 11, 20)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    warmup_steps = max(1, round(warmup_fraction * total_steps))

    def factor(step: int) -> float:
        rise = (step + 1) / warmup_steps
        fall = (total_steps - step) / max(1, total_steps - warmup_steps)
        return max(0.0, min(1.0, rise, fall))

    return factor


def linear_schedule(optimizer: Optimizer, total_steps: float, warmup_fraction: float) -> LambdaLR:
    """Schedule an optimizer's learning rate by `warmup_then_decay`.

    Raises:
        InputError: the training has no end, so that the schedule has none.
    """
    if total_steps == float("inf"):
        raise InputError("The schedule needs the length of the run; set --trainer.max_epochs or --trainer.max_steps")
    return LambdaLR(optimizer, warmup_then_decay(total_steps, warmup_fraction))
