"""WavLM: attention with a gated bias of relative positions (Chen et al. 2022)."""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_mia.models.huggingface.encoder import Wav2Vec2Like


class WavLM(Wav2Vec2Like):
    """WavLM, whose attention transformers has only written out, with all its weights kept: here it is torch's own.

    Args:
        model: bare encoder of transformers.
        preprocessor: feature extractor of transformers.
    """

    def __init__(self, model: Any, preprocessor: Any) -> None:
        super().__init__(model, preprocessor)
        attentions: list[Any] = [layer.attention for layer in self.layers]
        for attention in attentions:
            attention.torch_multi_head_self_attention = partial(_attend, attention)


def _attend(attention: Any, x: Tensor, real: Tensor | None, position_bias: Tensor) -> tuple[Tensor, None]:
    """Stands in for `WavLMAttention.torch_multi_head_self_attention`.

    Args:
        attention: the module whose projections are used.
        x: (batch, frames, dim).
        real: (batch, frames) bool, frames that may be attended to.
        position_bias: (batch × heads, frames, frames), to be added to the logits.

    Returns:
        (batch, frames, dim), and no attention weights.
    """
    batch, n_frames, dim = x.shape
    queries, keys, values = (
        projection(x).view(batch, n_frames, attention.num_heads, -1).transpose(1, 2)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )  # each (batch, heads, frames, dim / heads)
    bias = position_bias.view(batch, attention.num_heads, n_frames, n_frames).to(queries.dtype)
    if real is not None:
        bias = bias.masked_fill(~real[:, None, None], -torch.inf)
    dropout = attention.dropout if attention.training else 0.0
    attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=bias, dropout_p=dropout)
    return attention.out_proj(attended.transpose(1, 2).reshape(batch, n_frames, dim)), None
