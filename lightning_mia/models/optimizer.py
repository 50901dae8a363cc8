"""Learning-rate schedule and layer-wise learning rates."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lightning_mia.utilities.errors import InputError

FRONT_ENDS = {"front_end", "feature_extractor", "conv1", "conv2"}  # ours, Hugging Face's, and those of its Whisper
NOT_BLOCKS = {"adapter", "pos_conv_embed"}  # modules whose `layers` are not the transformer's blocks


def linear_schedule(optimizer: Optimizer, total_steps: float, warmup_fraction: float) -> LambdaLR:
    """Schedule an optimizer's learning rate by `warmup_then_decay`.

    Raises:
        InputError: the number of steps is infinite.
    """
    if total_steps == float("inf"):
        raise InputError("The schedule needs the length of the run; set --trainer.max_epochs or --trainer.max_steps")
    return LambdaLR(optimizer, warmup_then_decay(total_steps, warmup_fraction))


def warmup_then_decay(total_steps: float, warmup_fraction: float) -> Callable[[int], float]:
    """Return a factor that rises, then falls linearly.

    It reaches 1 after the warm-up and 0 at the last step.

    Example:
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


def layer_wise(
    encoder: Iterable[tuple[str, nn.Parameter]], head: Iterable[nn.Parameter], learning_rate: float, decay: float
) -> list[dict[str, Any]]:
    """Group parameters by depth (Howard and Ruder 2018, §3.2).

    The head learns at `learning_rate`, the last block of the transformer at `decay` times that, every block below
    at `decay` times the rate of the one above, and parameters outside the blocks (front end, projections, positions)
    at `decay` times the rate of the first block. Frozen parameters are left out.

    Args:
        encoder: parameters with their dotted names.
        head: parameters on top of the encoder.
        learning_rate: learning rate of the head.
        decay: factor from one block to the one below, in (0, 1]; 1: the same rate everywhere.

    Returns:
        One group per learning rate, highest first.
    """
    trainable = [(name, parameter) for name, parameter in encoder if parameter.requires_grad]
    blocks = [block_index(name) for name, _ in trainable]
    n_blocks = 1 + max((block for block in blocks if block is not None), default=-1)
    by_depth: dict[int, list[nn.Parameter]] = {0: [parameter for parameter in head if parameter.requires_grad]}
    for (_, parameter), block in zip(trainable, blocks, strict=True):
        depth = 0 if decay == 1 else n_blocks + 1 if block is None else n_blocks - block
        by_depth.setdefault(depth, []).append(parameter)
    return [{"params": by_depth[depth], "lr": learning_rate * decay**depth} for depth in sorted(by_depth)]


def block_index(name: str) -> int | None:
    """Return the transformer block of a parameter, if any.

    Example:
        >>> block_index("transformer.layers.3.attention_norm.bias"), block_index("model.encoder.layer_norm.bias")
        (3, None)
    """
    parts = name.split(".")
    for parent, part, number in zip(["", *parts], parts, parts[1:], strict=False):
        if part == "layers" and number.isdigit() and parent not in NOT_BLOCKS:
            return int(number)
    return None


def is_front_end(name: str) -> bool:
    """Whether a parameter's name places it in the front end.

    The front end is the convolutions on waveform or log-mel frames, before the transformer.

    Example:
        >>> is_front_end("front_end.convolutions.0.weight"), is_front_end("projection.weight")
        (True, False)
    """
    return not FRONT_ENDS.isdisjoint(name.split("."))
