"""Wrapping policy for fully sharded data parallel (FSDP)."""

from torch import nn

from lightning_mia.models.layers.transformer import Block


def each_layer(module: nn.Module, recurse: bool, nonwrapped_numel: int) -> bool:
    """Shard every transformer layer separately, the rest together.

    Covers our layers and those of Hugging Face encoders. A process then holds at most one whole layer at a time.

    Args:
        module: candidate for a shard.
        recurse: True: decide whether to visit the children; False: whether to shard the module itself.
        nonwrapped_numel: number of parameters of the module outside other shards.

    >>> each_layer(nn.TransformerEncoderLayer(8, 2), False, 0), each_layer(nn.Linear(8, 8), False, 0)
    (True, False)
    """
    return recurse or isinstance(module, Block) or "EncoderLayer" in type(module).__name__
