"""Published TERA and Mockingjay of S3PRL.

This is the TERA of Liu, Li and Lee (2021), which Tseng et al. (2022) attack.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.layers.masking import SpanMask
from lightning_mia.models.outputs import Encoded
from lightning_mia.models.published.base import PublishedEncoder, as_mapping, load_published, read_published
from lightning_mia.models.published.mel import MelSettings, PublishedMel, mel_settings
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import Count, PositiveShare, Rate, Share, Weight

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu, "swish": F.silu}
SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")


class PublishedTERA(PublishedEncoder):
    """Encoder of an S3PRL checkpoint (`states-….ckpt`) on log-mel frames.

    The outputs equal, up to rounding, those of S3PRL's upstream for each recording alone. As there, a recording longer
    than the model's longest input (published: 1500 frames) is cut into equal pieces, which are encoded separately. The
    first hidden state is the input of the first layer, the last one S3PRL's `last_hidden_state`.

    Args:
        checkpoint: file of the checkpoint.
        fresh: same configuration with random weights, for the untrained control.
        mask_probability: spans × length / frames, for attacks that mask; spans may overlap (published: 0.15).
        mask_length: frames of 10 ms per masked span (published: 7).
        learning_rate: not used, since a bare encoder is not trained.
        weight_decay: not used.
        warmup_fraction: not used.

    Example:
        >>> import tempfile
        >>> transformer = {
        ...     **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32},
        ...     **{"hidden_act": "gelu", "layer_norm_eps": 1e-12, "initializer_range": 0.02},
        ...     **{"share_layer": False, "pre_layer_norm": False},
        ... }
        >>> audio = {"target_level": -25, "n_mels": 40, "input": {"feat_type": "mel", "log": True}}
        >>> config = {"transformer": transformer, "task": {"sequence_length": 1500}, "audio": audio}
        >>> weights = TERANetwork(40, transformer).state_dict()
        >>> folder = tempfile.TemporaryDirectory()
        >>> torch.save({"Config": config, "Transformer": weights}, f"{folder.name}/states.ckpt")
        >>> model = PublishedTERA(f"{folder.name}/states.ckpt").eval()
        >>> model.encode(torch.randn(1, 16_000), torch.tensor([16_000])).hidden[-1].shape  # 1 s
        torch.Size([1, 101, 16])
    """

    family = "tera"

    def __init__(
        self,
        checkpoint: str,
        fresh: bool = False,
        mask_probability: PositiveShare = 0.15,
        mask_length: Count = 7,
        learning_rate: Rate = 2e-4,
        weight_decay: Weight = 0.01,
        warmup_fraction: Share = 0.1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.mask_span = SpanMask(mask_probability, mask_length)
        self.is_pretrained = not fresh
        content = read_published(checkpoint, "TERA", ("Config", "Transformer"))
        config, mel, self.longest = _read_config(content, checkpoint)
        self.mel = PublishedMel(mel)
        self.network = TERANetwork(self.mel.dim, config)
        if not fresh:
            weights = as_mapping(content["Transformer"], f"Transformer of {checkpoint}")
            load_published(self.network, {_modern_name(name): weight for name, weight in weights.items()}, checkpoint)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames."""
        return self.mel.frame_lengths(lengths)

    def encode(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode a batch, see `SpeechModel.encode`.

        A masked frame is set to zero, the recording's mean frame.
        """
        frames, frame_lengths = self.mel(waveforms, lengths), self.frame_lengths(lengths)
        if masks is not None:
            frames = frames.masked_fill(masks.unsqueeze(2), 0.0)
        cuts = [self._cut(row[:n]) for row, n in zip(frames, frame_lengths.tolist(), strict=True)]
        counts = [len(cut) for cut in cuts]
        pieces = [piece for cut in cuts for piece in cut]
        sizes = torch.tensor([len(piece) for piece in pieces], device=frames.device)
        hidden = self.network(pad_sequence(pieces, batch_first=True), sizes)
        return Encoded(tuple(_join(layer, sizes, counts, frames.shape[1]) for layer in hidden), frame_lengths)

    def _cut(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Cut a recording (frames, dim) into the fewest equal pieces."""
        n_pieces = -(-len(frames) // self.longest) if self.longest > 0 else 1
        return frames.chunk(n_pieces)


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
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=config["initializer_range"])
                nn.init.zeros_(module.bias)

    def forward(self, frames: Tensor, lengths: Tensor) -> list[Tensor]:
        """(batch, frames, input_dim), (batch,) real frames → input of every layer, then the last output."""
        x = self.input_representations["spec_transform"](frames)
        x = self.input_representations["LayerNorm"](x + sinusoids(x.shape[1], x.shape[2]).to(x))
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
        heads = nn.ModuleDict({name: nn.Linear(dim, dim) for name in ("query", "key", "value")})
        self.attention = nn.ModuleDict({"self": heads, "output": _output(dim, dim, eps)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(dim, inner)})
        self.output = _output(inner, dim, eps)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """(batch, frames, dim), (batch, 1, 1, frames) bool → (batch, frames, dim)."""
        x = self._residual(x, self.attention["output"], lambda y: self._attend(y, real))
        return self._residual(x, self.output, lambda y: self.activation(self.intermediate["dense"](y)))

    def _residual(self, x: Tensor, output: Any, inner: Callable[[Tensor], Tensor]) -> Tensor:
        if self.pre_norm:
            return x + output["dense"](inner(output["LayerNorm"](x)))
        return output["LayerNorm"](x + output["dense"](inner(x)))

    def _attend(self, x: Tensor, real: Tensor) -> Tensor:
        parts: Any = self.attention["self"]
        q, k, v = (
            parts[name](x).unflatten(2, (self.n_heads, -1)).transpose(1, 2) for name in ("query", "key", "value")
        )
        return F.scaled_dot_product_attention(q, k, v, attn_mask=real).transpose(1, 2).flatten(2)


def sinusoids(n_frames: int, dim: int) -> Tensor:
    """Compute sinusoidal positions (n_frames, dim) float32.

    Sines are in even columns, cosines in odd ones.
    """
    column = torch.arange(dim, dtype=torch.float64)
    angle = torch.arange(n_frames).unsqueeze(1) / 10_000 ** (2 * (column // 2) / dim)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()


def _read_config(content: dict[str, Any], path: str) -> tuple[dict[str, Any], MelSettings, int]:
    """Parse transformer, log-mel frames, and longest input (frames, 0: any)."""
    config = as_mapping(content["Config"], f"Config of {path}")
    if "transformer" not in config:  # in newer files it is the trainer's configuration
        config = as_mapping(content.get("Upstream_Config"), f"Upstream_Config of {path}")
    entries = {
        name: as_mapping(config.get(name), f"{name} in Config of {path}") for name in ("transformer", "task", "audio")
    }
    shape: dict[str, Any] = {}
    try:
        for name in SIZES:
            shape[name] = int(entries["transformer"][name])
        for name in ("layer_norm_eps", "initializer_range"):
            shape[name] = float(entries["transformer"][name])
        for name in ("share_layer", "pre_layer_norm"):
            shape[name] = bool(entries["transformer"][name])
        shape["hidden_act"] = str(entries["transformer"]["hidden_act"])
        longest = int(entries["task"]["sequence_length"])
        mel = mel_settings(entries["audio"], path)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"The configuration in {path} lacks a value or has an invalid one: {error}") from error
    if shape["hidden_act"] not in ACTIVATIONS:
        raise InputError(f"{path} has the activation {shape['hidden_act']}; supported: {', '.join(ACTIVATIONS)}")
    if min(shape[name] for name in SIZES) < 1 or shape["hidden_size"] % shape["num_attention_heads"]:
        raise InputError(
            f"{path} has a transformer of impossible sizes; the file is damaged: {[shape[name] for name in SIZES]}"
        )
    return shape, mel, longest


def _modern_name(name: str) -> str:
    return name.replace("gamma", "weight").replace("beta", "bias")  # of layer norms in old files


def _join(pieces: Tensor, sizes: Tensor, counts: list[int], n_frames: int) -> Tensor:
    """Join the pieces of recordings.

    (pieces, frames, dim) → (batch, n_frames, dim), zero beyond their ends.
    """
    real = [piece[:size] for piece, size in zip(pieces, sizes.tolist(), strict=True)]
    ends = torch.tensor(counts).cumsum(dim=0).tolist()
    joined = pad_sequence(
        [torch.cat(real[end - n : end]) for end, n in zip(ends, counts, strict=True)], batch_first=True
    )
    return F.pad(joined, (0, 0, 0, n_frames - joined.shape[1]))


def _output(inputs: int, dim: int, eps: float) -> nn.ModuleDict:
    return nn.ModuleDict({"dense": nn.Linear(inputs, dim), "LayerNorm": nn.LayerNorm(dim, eps=eps)})
