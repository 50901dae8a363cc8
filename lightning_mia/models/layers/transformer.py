"""Transformer encoder that returns the hidden states of all layers."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from lightning_mia.utilities.errors import InputError


class SinusoidalPositions(nn.Module):
    """Sinusoidal positions (Vaswani et al. 2017, §3.5)."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, dim) → (frames, dim), to be added."""
        n_frames, dim = x.shape[1:]
        rates = torch.exp(torch.arange(0, dim, 2, device=x.device) * (-math.log(10_000.0) / dim))
        angles = torch.arange(n_frames, device=x.device).unsqueeze(1) * rates  # (frames, dim / 2)
        return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1).to(x.dtype)


class ConvolutionalPositions(nn.Module):
    """Convolutional positions (Baevski et al. 2020, §2).

    Positions are computed from the frames by a wide grouped convolution.

    Args:
        dim: channels.
        kernel: width in frames.
        groups: groups of channels.
    """

    def __init__(self, dim: int, kernel: int, groups: int) -> None:
        super().__init__()
        if dim % groups:
            raise InputError(f"Expected dim to be a multiple of position_groups = {groups}, but got {dim}")
        convolution = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=groups)
        nn.init.normal_(convolution.weight, std=math.sqrt(4.0 / (kernel * dim)))
        self.convolution = weight_norm(convolution, dim=2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, dim), zero beyond each utterance's end → the same shape, to be added."""
        # An even kernel yields one frame too many.
        return F.gelu(self.convolution(x.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)


def make_positions(dim: int, kernel: int, groups: int) -> nn.Module:
    """Create convolutional positions; sinusoidal ones if `kernel` is 0."""
    return ConvolutionalPositions(dim, kernel, groups) if kernel else SinusoidalPositions()


class Block(nn.Module):
    """Transformer block: self-attention and a feed-forward layer.

    Both have a residual connection and a layer norm. The computation is that of `torch.nn.TransformerEncoderLayer`,
    whose training step is a fifth slower at our sizes, and whose fast path in evaluation, which stores all attention
    weights, is two to six times slower (CPU).

    Args:
        dim: width of the hidden states.
        n_heads: attention heads, a divisor of dim.
        feedforward_dim: inner width of the feed-forward layer.
        dropout: dropout probability of attention weights, inner activations and both outputs.
        pre_norm: layer norm before each sub-layer; False: after it.
    """

    def __init__(self, dim: int, n_heads: int, feedforward_dim: int, dropout: float, pre_norm: bool) -> None:
        super().__init__()
        self.n_heads, self.pre_norm = n_heads, pre_norm
        self.attention_norm, self.feedforward_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.queries_keys_values = nn.Linear(dim, 3 * dim)
        self.attention_output = nn.Linear(dim, dim)
        self.feedforward = nn.Sequential(
            nn.Linear(dim, feedforward_dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(feedforward_dim, dim)
        )
        self.dropout = nn.Dropout(dropout)
        nn.init.xavier_uniform_(self.queries_keys_values.weight)
        nn.init.zeros_(self.queries_keys_values.bias)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """(batch, frames, dim) → same shape; `real` (batch, 1, 1, frames) bool, frames that may be attended to."""
        if self.pre_norm:
            x = x + self.dropout(self._attend(self.attention_norm(x), real))
            return x + self.dropout(self.feedforward(self.feedforward_norm(x)))
        x = self.attention_norm(x + self.dropout(self._attend(x, real)))
        return self.feedforward_norm(x + self.dropout(self.feedforward(x)))

    def _attend(self, x: Tensor, real: Tensor) -> Tensor:
        heads = self.queries_keys_values(x).unflatten(2, (3, self.n_heads, -1))
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)  # each (batch, heads, frames, dim / heads)
        dropout = self.dropout.p if self.training else 0.0
        attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=real, dropout_p=dropout)
        return self.attention_output(attended.transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    """Positions, then blocks of self-attention and feed-forward layers.

    Args:
        positions: module that returns position encodings, which are added to the input.
        dim: width of the hidden states.
        n_layers: blocks.
        n_heads: attention heads, a divisor of dim.
        feedforward_dim: inner width of the feed-forward layers.
        dropout: dropout probability, in every block and on the input.
        pre_norm: layer norm before each sub-layer; False: after it, as in the published base models.

    Raises:
        InputError: dim is not a multiple of n_heads.

    Example:
        >>> sizes = {"dim": 8, "n_layers": 2, "n_heads": 2, "feedforward_dim": 16}
        >>> transformer = Transformer(SinusoidalPositions(), **sizes, dropout=0.0, pre_norm=True)
        >>> hidden = transformer(torch.randn(1, 10, 8), padding=torch.zeros(1, 10, dtype=torch.bool))
        >>> len(hidden), hidden[-1].shape
        (3, torch.Size([1, 10, 8]))
    """

    def __init__(
        self,
        positions: nn.Module,
        *,
        dim: int,
        n_layers: int,
        n_heads: int,
        feedforward_dim: int,
        dropout: float,
        pre_norm: bool,
    ) -> None:
        super().__init__()
        if dim % n_heads:
            raise InputError(f"Expected dim to be a multiple of n_heads = {n_heads}, but got {dim}")
        self.positions = positions
        self.pre_norm = pre_norm
        self.norm = nn.LayerNorm(dim)  # on the output with pre-norm, on the input with post-norm
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Block(dim, n_heads, feedforward_dim, dropout, pre_norm) for _ in range(n_layers))

    def forward(self, x: Tensor, padding: Tensor) -> tuple[Tensor, ...]:
        """Return the blocks' input and the output of each.

        Args:
            x: (batch, frames, dim).
            padding: (batch, frames) bool, True beyond an utterance's end.

        Returns:
            n_layers + 1 tensors (batch, frames, dim); frames beyond an utterance's end are undefined.
        """
        x = x.masked_fill(padding.unsqueeze(2), 0.0)
        x = x + self.positions(x)
        x = self.dropout(x if self.pre_norm else self.norm(x))
        hidden, real = [x], ~padding[:, None, None]
        for layer in self.layers:
            hidden.append(layer(hidden[-1], real))
        if self.pre_norm:
            hidden[-1] = self.norm(hidden[-1])
        return tuple(hidden)
