"""The published TERA and Mockingjay of S3PRL (Liu, Li and Lee 2021), as their files are: the paper's TERA."""

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

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu, "swish": F.silu}
SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")


class PublishedTERA(PublishedEncoder):
    """The encoder of a checkpoint of S3PRL (`states-….ckpt`) that takes log-mel frames of the waveform.

    What it says of a recording is, to rounding, what S3PRL's upstream says of that recording alone. As there, one
    that is longer than the model's longest input (published: 1500 frames) is cut into equal pieces, each encoded by
    itself. The first hidden state is the input of the first layer, the last is S3PRL's `last_hidden_state`.

    Args:
        checkpoint: the file.
        fresh: the same configuration with weights drawn at random, for the untrained control.
        mask_probability: spans × length / frames, where attacks mask; spans may overlap (published: 0.15).
        mask_length: frames of 10 ms in a masked span (published: 7).
        learning_rate: not used, an encoder alone is not trained; nor are the next two.
        weight_decay: of AdamW.
        warmup_fraction: share of the steps in which the learning rate rises.
    """

    family = "tera"

    def __init__(
        self,
        checkpoint: str,
        fresh: bool = False,
        mask_probability: float = 0.15,
        mask_length: int = 7,
        learning_rate: float = 2e-4,
        weight_decay: float = 0.01,
        warmup_fraction: float = 0.1,
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
            modern = {name.replace("gamma", "weight").replace("beta", "bias"): value for name, value in weights.items()}
            load_published(self.network, modern, checkpoint)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames."""
        return self.mel.frame_lengths(lengths)

    def encode(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode a batch, see `SpeechModel.encode`; a masked frame is the utterance's mean frame, zero."""
        frames, frame_lengths = self.mel(waveforms, lengths), self.frame_lengths(lengths)
        if masks is not None:
            frames = frames.masked_fill(masks.unsqueeze(2), 0.0)
        pieces = [self._cut(own[:n]) for own, n in zip(frames, frame_lengths.tolist(), strict=True)]
        counts = [len(cut) for cut in pieces]
        sizes = torch.tensor([len(piece) for cut in pieces for piece in cut], device=frames.device)
        hidden = self.network(pad_sequence([piece for cut in pieces for piece in cut], batch_first=True), sizes)
        return Encoded(tuple(_join(layer, sizes, counts, frames.shape[1]) for layer in hidden), frame_lengths)

    def _cut(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Cut an utterance (frames, dim) into as few equal pieces as may be, none of them too long."""
        n_pieces = -(-len(frames) // self.longest) if self.longest > 0 else 1
        return frames.chunk(n_pieces)


def _join(pieces: Tensor, sizes: Tensor, counts: list[int], n_frames: int) -> Tensor:
    """Put utterances together again: (pieces, frames, dim) → (batch, n_frames, dim), zero beyond their ends."""
    real = [piece[:size] for piece, size in zip(pieces, sizes.tolist(), strict=True)]
    ends = torch.tensor(counts).cumsum(dim=0).tolist()
    joined = pad_sequence(
        [torch.cat(real[end - n : end]) for end, n in zip(ends, counts, strict=True)], batch_first=True
    )
    return F.pad(joined, (0, 0, 0, n_frames - joined.shape[1]))


def _read_config(content: dict[str, Any], path: str) -> tuple[dict[str, Any], MelSettings, int]:
    """What the file says of its transformer and its log-mel frames, and its longest input in frames (0: any)."""
    config = as_mapping(content["Config"], f"Config of {path}")
    if "transformer" not in config:  # of the trainer; newer files keep the model's beside it
        config = as_mapping(content.get("Upstream_Config"), f"Upstream_Config of {path}")
    theirs = {
        name: as_mapping(config.get(name), f"{name} in Config of {path}") for name in ("transformer", "task", "audio")
    }
    shape: dict[str, Any] = {}
    try:
        for name in SIZES:
            shape[name] = int(theirs["transformer"][name])
        for name in ("layer_norm_eps", "initializer_range"):
            shape[name] = float(theirs["transformer"][name])
        for name in ("share_layer", "pre_layer_norm"):
            shape[name] = bool(theirs["transformer"][name])
        shape["hidden_act"] = str(theirs["transformer"]["hidden_act"])
        longest = int(theirs["task"]["sequence_length"])
        mel = mel_settings(theirs["audio"], path)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"The configuration in {path} lacks or garbles a value, it is damaged: {error}") from error
    if shape["hidden_act"] not in ACTIVATIONS:
        raise InputError(f"{path} has the activation {shape['hidden_act']}; understood: {', '.join(ACTIVATIONS)}")
    if min(shape[name] for name in SIZES) < 1 or shape["hidden_size"] % shape["num_attention_heads"]:
        raise InputError(
            f"{path} has a transformer of impossible sizes, it is damaged: {[shape[name] for name in SIZES]}"
        )
    return shape, mel, longest


class TERANetwork(nn.Module):
    """The transformer, with the names that the file gives its parts.

    Args:
        input_dim: of a frame.
        config: the file's, of the transformer.
    """

    def __init__(self, input_dim: int, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim, eps, n_layers = config["hidden_size"], config["layer_norm_eps"], config["num_hidden_layers"]
        self.input_representations = nn.ModuleDict(
            {"spec_transform": nn.Linear(input_dim, dim), "LayerNorm": nn.LayerNorm(dim, eps=eps)}
        )
        layers = [TERALayer(config) for _ in range(1 if config["share_layer"] else n_layers)]
        parts = {"layer": nn.ModuleList(layers * n_layers if config["share_layer"] else layers)}
        if config["pre_layer_norm"]:  # one for every hidden state
            parts["LayerNorm"] = nn.ModuleList(nn.LayerNorm(dim, eps=eps) for _ in range(n_layers + 1))
        self.encoder = nn.ModuleDict(parts)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=config["initializer_range"])
                nn.init.zeros_(module.bias)

    def forward(self, frames: Tensor, lengths: Tensor) -> list[Tensor]:
        """(batch, frames, input_dim), (batch,) real frames → the input of every layer and the last one's output."""
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
    """Attention and two dense layers, each with a residual and a layer norm before or after it.

    Args:
        config: the file's, of the transformer.
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

    def _residual(self, x: Tensor, after: Any, inner: Callable[[Tensor], Tensor]) -> Tensor:
        if self.pre_norm:
            return x + after["dense"](inner(after["LayerNorm"](x)))
        return after["LayerNorm"](x + after["dense"](inner(x)))

    def _attend(self, x: Tensor, real: Tensor) -> Tensor:
        parts: Any = self.attention["self"]
        q, k, v = (
            parts[name](x).unflatten(2, (self.n_heads, -1)).transpose(1, 2) for name in ("query", "key", "value")
        )
        return F.scaled_dot_product_attention(q, k, v, attn_mask=real).transpose(1, 2).flatten(2)


def _output(inputs: int, dim: int, eps: float) -> nn.ModuleDict:
    return nn.ModuleDict({"dense": nn.Linear(inputs, dim), "LayerNorm": nn.LayerNorm(dim, eps=eps)})


def sinusoids(n_frames: int, dim: int) -> Tensor:
    """Positions (n_frames, dim) float32: sines in the even columns and cosines in the odd ones."""
    column = torch.arange(dim, dtype=torch.float64)
    angle = torch.arange(n_frames).unsqueeze(1) / 10_000 ** (2 * (column // 2) / dim)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()
