"""Predictors of CPC_audio's training, `wPrediction` of its criterion."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PREFIX = "wPrediction.predictors."
DROPOUT = 0.1  # in the transformer layers


class Predictors(nn.ModuleList):
    """One predictor per step, named as in the checkpoint.

    Example:
        >>> weights = {f"{PREFIX}{step}.weight": torch.zeros(16, 8) for step in range(12)}
        >>> predictors = Predictors.like(weights)
        >>> len(predictors), predictors[0](torch.zeros(1, 100, 8)).shape
        (12, torch.Size([1, 100, 16]))
    """

    @staticmethod
    def like(weights: Mapping[str, Tensor]) -> "Predictors | None":
        """Create predictors of the sizes of a checkpoint.

        Linear predictors and transformer layers are supported, the authors' default. None: others, or none at all.

        Args:
            weights: entry `cpcCriterion` of the checkpoint.
        """
        steps = {match[1] for name in weights if (match := re.match(rf"{re.escape(PREFIX)}(\d+)\.", name))}
        shapes = {
            name.removeprefix(f"{PREFIX}0."): tuple(getattr(weight, "shape", ())) for name, weight in weights.items()
        }
        make = _maker(shapes)
        return Predictors(make() for _ in steps) if make and steps else None


def _maker(shapes: Mapping[str, tuple[int, ...]]) -> Callable[[], nn.Module] | None:
    """Return what creates a predictor with weights of these shapes."""
    matrix, inner, positions = (
        shapes.get(name, ()) for name in ("weight", "0.ffnetwork.lin1.weight", "0.multihead.Att.Krelpos")
    )
    if len(matrix) == 2:
        return lambda: nn.Linear(matrix[1], matrix[0], bias=False)
    if len(inner) == len(positions) == 2 and inner[1] % max(positions[0], 1) == 0 and min(positions) > 0:
        return lambda: nn.Sequential(RelativeLayer(inner[1], inner[0], *positions))
    return None


class RelativeLayer(nn.Module):
    """Causal transformer layer with learned relative positions.

    Args:
        dim: width of the contexts.
        inner: inner width of the feed-forward network.
        head_dim: width of an attention head.
        reach: longest sequence in training (frames); beyond it, attention has no positions and does not look.
    """

    def __init__(self, dim: int, inner: int, head_dim: int, reach: int) -> None:
        super().__init__()
        parts: dict[str, nn.Module] = {f"W{name}": nn.Linear(dim, dim, bias=False) for name in "okqv"}
        positions = nn.ParameterDict({"Krelpos": torch.empty(head_dim, reach).uniform_(-1, 1) / math.sqrt(head_dim)})
        self.multihead = nn.ModuleDict({**parts, "Att": positions})
        self.ln_multihead, self.ln_ffnetwork = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.ffnetwork = nn.ModuleDict({"lin1": nn.Linear(dim, inner), "lin2": nn.Linear(inner, dim)})
        self.head_dim, self.reach = head_dim, reach

    def forward(self, contexts: Tensor) -> Tensor:
        """(batch, frames, dim) → same shape."""
        x = self.ln_multihead(contexts + self._attend(contexts))
        inner = F.dropout(F.relu(self.ffnetwork["lin1"](x)), DROPOUT, self.training)
        return self.ln_ffnetwork(x + self.ffnetwork["lin2"](inner))

    def _attend(self, x: Tensor) -> Tensor:
        q, k, v = (self.multihead[f"W{name}"](x).unflatten(2, (-1, self.head_dim)).transpose(1, 2) for name in "qkv")
        time = torch.arange(x.shape[1], device=x.device)
        distance = time.unsqueeze(1) - time  # (frames, frames)
        column = (self.reach - 1 - distance).clamp(0, self.reach - 1).expand(*q.shape[:2], -1, -1)
        positions: Any = self.multihead["Att"]
        bias = (q @ positions["Krelpos"]).gather(3, column) / math.sqrt(self.head_dim)
        bias = bias.masked_fill((distance < 0) | (distance >= self.reach), -torch.inf)
        dropout = DROPOUT if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)
        return self.multihead["Wo"](mixed.transpose(1, 2).flatten(2))
