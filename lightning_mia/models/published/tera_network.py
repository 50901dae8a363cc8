"""Networks of S3PRL's TERA and Mockingjay checkpoints."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.layers.features import padding_mask

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu, "swish": F.silu}


class TERANetwork(nn.Module):
    """Transformer with the parameter names of the checkpoint.

    Args:
        input_dim: width of a frame.
        config: entry `transformer` of the checkpoint's configuration.
    """

    def __init__(self, input_dim: int, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim, eps, n_layers = config["hidden_size"], config["layer_norm_eps"], config["num_hidden_layers"]
        self.input_representations = nn.ModuleDict(
            {"spec_transform": nn.Linear(input_dim, dim), "LayerNorm": nn.LayerNorm(dim, eps=eps)}
        )
        layers = [TERALayer(config) for _ in range(1 if config["share_layer"] else n_layers)]
        parts = {"layer": nn.ModuleList(layers * n_layers if config["share_layer"] else layers)}
        if config["pre_layer_norm"]:  # one per hidden state
            parts["LayerNorm"] = nn.ModuleList(nn.LayerNorm(dim, eps=eps) for _ in range(n_layers + 1))
        self.encoder = nn.ModuleDict(parts)
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])
        initialise_linear(self, config)

    def forward(self, frames: Tensor, lengths: Tensor) -> list[Tensor]:
        """(batch, frames, input_dim), (batch,) real frames → input of every layer, then the last output."""
        x = self.input_representations["spec_transform"](frames)
        x = self.dropout(self.input_representations["LayerNorm"](x + sinusoids(x.shape[1], x.shape[2]).to(x)))
        real = ~padding_mask(lengths, x.shape[1])[:, None, None]  # (batch, heads, queries, keys)
        hidden = [x]
        layers: Any = self.encoder["layer"]
        for layer in layers:
            hidden.append(layer(hidden[-1], real))
        if "LayerNorm" in self.encoder:
            norms: Any = self.encoder["LayerNorm"]
            return [norm(state) for norm, state in zip(norms, hidden, strict=True)]
        return hidden


class TERALayer(nn.Module):
    """Transformer layer with the parameter names of the checkpoint.

    Args:
        config: entry `transformer` of the checkpoint's configuration.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim, inner, eps = config["hidden_size"], config["intermediate_size"], config["layer_norm_eps"]
        self.n_heads, self.pre_norm = config["num_attention_heads"], config["pre_layer_norm"]
        self.activation = ACTIVATIONS[config["hidden_act"]]
        self.dropout, self.attention_dropout = config["hidden_dropout_prob"], config["attention_probs_dropout_prob"]
        heads = nn.ModuleDict({name: nn.Linear(dim, dim) for name in ("query", "key", "value")})
        self.attention = nn.ModuleDict({"self": heads, "output": _output(dim, dim, eps)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(dim, inner)})
        self.output = _output(inner, dim, eps)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """(batch, frames, dim), (batch, 1, 1, frames) bool → (batch, frames, dim)."""
        x = self._residual(x, self.attention["output"], lambda y: self._attend(y, real))
        return self._residual(x, self.output, lambda y: self.activation(self.intermediate["dense"](y)))

    def _residual(self, x: Tensor, output: Any, inner: Callable[[Tensor], Tensor]) -> Tensor:
        y = output["dense"](inner(output["LayerNorm"](x) if self.pre_norm else x))
        x = x + F.dropout(y, self.dropout, self.training)
        return x if self.pre_norm else output["LayerNorm"](x)

    def _attend(self, x: Tensor, real: Tensor) -> Tensor:
        parts: Any = self.attention["self"]
        q, k, v = (
            parts[name](x).unflatten(2, (self.n_heads, -1)).transpose(1, 2) for name in ("query", "key", "value")
        )
        dropout = self.attention_dropout if self.training else 0.0
        return F.scaled_dot_product_attention(q, k, v, attn_mask=real, dropout_p=dropout).transpose(1, 2).flatten(2)


class SpecHead(nn.Module):
    """Head that reconstructs frames, with the parameter names of the checkpoint.

    Args:
        output_dim: width of a frame.
        config: entry `transformer` of the checkpoint's configuration.
    """

    def __init__(self, output_dim: int, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim = config["hidden_size"]
        self.activation = ACTIVATIONS[config["hidden_act"]]
        self.dense, self.output = nn.Linear(dim, dim), nn.Linear(dim, output_dim)
        self.LayerNorm = nn.LayerNorm(dim, eps=config["layer_norm_eps"])
        initialise_linear(self, config)

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, frames, dim) → (batch, frames, output_dim)."""
        return self.output(self.LayerNorm(self.activation(self.dense(hidden))))


def initialise_linear(network: nn.Module, config: Mapping[str, Any]) -> None:
    """Draw the weights of linear layers, and zero their biases."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=config["initializer_range"])
            nn.init.zeros_(module.bias)


def sinusoids(n_frames: int, dim: int) -> Tensor:
    """Compute sinusoidal positions (n_frames, dim) float32.

    Sines are in even columns, cosines in odd ones.
    """
    column = torch.arange(dim, dtype=torch.float64)
    angle = torch.arange(n_frames).unsqueeze(1) / 10_000 ** (2 * (column // 2) / dim)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()


def _output(inputs: int, dim: int, eps: float) -> nn.ModuleDict:
    return nn.ModuleDict({"dense": nn.Linear(inputs, dim), "LayerNorm": nn.LayerNorm(dim, eps=eps)})
