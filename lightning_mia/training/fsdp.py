"""Which parts of an encoder become shards of their own where its weights are spread over processes (FSDP)."""

from torch import nn

from lightning_mia.models.layers.transformer import Block


def each_layer(module: nn.Module, recurse: bool, nonwrapped_numel: int) -> bool:
    """A shard for every transformer layer, of ours and of any encoder of transformers; the rest is one more.

    A process then holds no more than one whole layer at a time.

    Args:
        module: that may become a shard.
        recurse: whether it is asked if its children are to be looked at.
        nonwrapped_numel: parameters in it that are in no shard yet.

    >>> each_layer(nn.TransformerEncoderLayer(8, 2), False, 0), each_layer(nn.Linear(8, 8), False, 0)
    (True, False)
    """
    return recurse or isinstance(module, Block) or "EncoderLayer" in type(module).__name__
