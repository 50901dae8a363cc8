"""The published modified CPC (Rivière et al. 2020), as its file is: the paper's CPC (Tseng et al. 2022)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.outputs import Encoded
from lightning_mia.models.published.base import PublishedEncoder, as_mapping, load_published, read_published
from lightning_mia.utilities.errors import InputError

KERNELS = (10, 8, 4, 4, 4)  # together 465 samples
STRIDES = (5, 4, 2, 2, 2)  # together 160 samples
PADDINGS = (3, 2, 1, 1, 1)  # zeros at either end
RECURRENT = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
# What is read of all that the authors' code can build; the first is what it builds where the configuration is silent.
ONLY = {
    "arMode": tuple(RECURRENT),
    "encoder_type": ("cpc",),
    "normMode": ("layerNorm",),
    "cpc_mode": (None, "none"),
}


class PublishedCPC(PublishedEncoder):
    """The encoder of a checkpoint of CPC_audio, such as 60k_epoch4-d0f474de.pt, which S3PRL calls `modified_cpc`.

    What it says of a recording is, to rounding, what the authors' code says of that recording alone: waveforms are
    taken as loud as they are, and the convolutions pad zeros at the recording's own ends.

    Args:
        checkpoint: the file.
        fresh: the same configuration with weights drawn at random, for the untrained control.
        learning_rate: not used, an encoder alone is not trained; nor are the next two.
        weight_decay: of AdamW.
        warmup_fraction: share of the steps in which the learning rate rises.
    """

    family = "cpc"

    def __init__(
        self,
        checkpoint: str,
        fresh: bool = False,
        learning_rate: float = 2e-4,
        weight_decay: float = 0.01,
        warmup_fraction: float = 0.1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.is_pretrained = not fresh
        content = read_published(checkpoint, "CPC", ("config", "weights"))
        shape = _read_shape(as_mapping(content["config"], f"config of {checkpoint}"), checkpoint)
        self.network = CPCNetwork(shape)
        if not fresh:
            load_published(self.network, as_mapping(content["weights"], f"weights of {checkpoint}"), checkpoint)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames of 10 ms."""
        for layer in range(len(KERNELS)):
            lengths = output_lengths(layer, lengths)
        return lengths

    def encode(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode a batch, see `SpeechModel.encode`; layer 0 is the convolutions' output, the last the context.

        As its training hid nothing, there is no learned vector for a masked frame: it is zero, off in all channels.
        """
        latents = self.network.gEncoder(waveforms, lengths)  # (batch, frames, dim)
        if masks is not None:
            latents = latents.masked_fill(masks.unsqueeze(2), 0.0)
        # From left to right, and from nothing for every recording: padding on the right cannot reach it.
        context = self.network.gAR["baseNet"](latents)[0]
        return Encoded((latents, context), self.frame_lengths(lengths))


@dataclass(frozen=True)
class Shape:
    """What of a checkpoint's configuration decides its shape."""

    dim: int  # channels of the convolutions
    context_dim: int
    recurrent: str
    n_layers: int  # recurrent layers, of which the last is seen


def _read_shape(config: Mapping[str, Any], path: str) -> Shape:
    for name, known in ONLY.items():
        if config.get(name, known[0]) not in known:
            understood = ", ".join(str(value) for value in known)
            raise InputError(f"{path} was made with {name} {config[name]}, which is not read; understood: {understood}")
    sizes = {"hiddenEncoder": 256, "hiddenGar": 256, "nLevelsGRU": 1}
    sizes = {name: config.get(name, default) for name, default in sizes.items()}
    for name, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise InputError(f"{path} says {name} = {value!r}, expected a whole number of at least 1; it is damaged")
    return Shape(sizes["hiddenEncoder"], sizes["hiddenGar"], config.get("arMode", "LSTM"), sizes["nLevelsGRU"])


class CPCNetwork(nn.Module):
    """Convolutions and recurrent context, with the names that the file gives them.

    Args:
        shape: of both.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gEncoder = PaddedFrontEnd(shape.dim)
        recurrent = RECURRENT[shape.recurrent]
        self.gAR = nn.ModuleDict(
            {"baseNet": recurrent(shape.dim, shape.context_dim, num_layers=shape.n_layers, batch_first=True)}
        )


class PaddedFrontEnd(nn.Module):
    """Five convolutions between zeros, each followed by its norm and ReLU.

    Args:
        channels: of every convolution.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        for layer, (kernel, stride, padding) in enumerate(zip(KERNELS, STRIDES, PADDINGS, strict=True)):
            inputs = channels if layer else 1
            self.add_module(f"conv{layer}", nn.Conv1d(inputs, channels, kernel, stride, padding))
            self.add_module(f"batchNorm{layer}", ChannelNorm(channels))

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples) zero-padded, (batch,) real samples → (batch, frames, channels)."""
        x = waveforms.unsqueeze(1)  # (batch, channels, samples)
        for layer in range(len(KERNELS)):
            # Where the recording ends, a convolution has to meet the zeros that it meets when the recording is alone.
            x = x.masked_fill(padding_mask(lengths, x.shape[2]).unsqueeze(1), 0.0)
            x = self.get_submodule(f"conv{layer}")(x)
            x = F.relu(self.get_submodule(f"batchNorm{layer}")(x))
            lengths = output_lengths(layer, lengths)
        return x.transpose(1, 2)


class ChannelNorm(nn.Module):
    """Normalise every frame over its channels, with the unbiased variance, unlike layer norm.

    Args:
        channels: number of channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, channels, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames) → the same."""
        variance, mean = torch.var_mean(x, dim=1, keepdim=True)
        return (x - mean) * (variance + 1e-5).rsqrt() * self.weight + self.bias


def output_lengths(layer: int, lengths: Tensor) -> Tensor:
    """Inputs → outputs of a convolution, counted from 0.

    >>> output_lengths(0, torch.tensor([1600])).tolist()
    [320]
    """
    return (lengths + 2 * PADDINGS[layer] - KERNELS[layer]) // STRIDES[layer] + 1
