"""Published CPC checkpoints.

This is the CPC of Rivière et al. (2020), which Tseng et al. (2022) attack.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.cpc import KERNELS, STRIDES
from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.outputs import Encoded
from lightning_mia.models.published.base import PublishedEncoder, as_mapping, load_published, read_published
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import Rate, Share, Weight

PADDINGS = (3, 2, 1, 1, 1)  # zeros at either end
RECURRENT = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
# Supported values of the authors' configuration; the first is the default of their code.
SUPPORTED = {
    "arMode": tuple(RECURRENT),
    "encoder_type": ("cpc",),
    "normMode": ("layerNorm",),
    "cpc_mode": (None, "none"),
}


class PublishedCPC(PublishedEncoder):
    """Encoder of a CPC_audio checkpoint such as 60k_epoch4-d0f474de.pt, S3PRL's `modified_cpc`.

    The outputs equal, up to rounding, those of the authors' code for each recording alone: waveforms are not
    normalised, and the convolutions pad zeros at the recording's own ends.

    Args:
        checkpoint: file of the checkpoint.
        fresh: same configuration with random weights, for the untrained control.
        learning_rate: not used, since a bare encoder is not trained.
        weight_decay: not used.
        warmup_fraction: not used.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()  # the published file has 256 channels
        >>> config = {"hiddenEncoder": 16, "hiddenGar": 16}
        >>> weights = CPCNetwork(NetworkShape(16, 16, "LSTM", 1)).state_dict()
        >>> torch.save({"config": config, "weights": weights}, f"{folder.name}/cpc.pt")
        >>> model = PublishedCPC(f"{folder.name}/cpc.pt").eval()
        >>> model.encode(torch.randn(1, 16_000), torch.tensor([16_000])).hidden[-1].shape  # 1 s
        torch.Size([1, 100, 16])
    """

    family = "cpc"

    def __init__(
        self,
        checkpoint: str,
        fresh: bool = False,
        learning_rate: Rate = 2e-4,
        weight_decay: Weight = 0.01,
        warmup_fraction: Share = 0.1,
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
        """Encode a batch, see `SpeechModel.encode`.

        Layer 0 is the output of the convolutions, the last layer the context. Training masked nothing, so there is no
        learned vector for masked frames: they are set to zero.
        """
        latents = self.network.gEncoder(waveforms, lengths)  # (batch, frames, dim)
        if masks is not None:
            latents = latents.masked_fill(masks.unsqueeze(2), 0.0)
        # Causal, and with a zero state for every recording: padding on the right has no effect.
        context = self.network.gAR["baseNet"](latents)[0]
        return Encoded((latents, context), self.frame_lengths(lengths))


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of a published CPC."""

    dim: int  # channels of the convolutions
    context_dim: int
    recurrent: str
    n_layers: int  # recurrent layers; the last one is the context


class CPCNetwork(nn.Module):
    """Convolutions and recurrent context, named as in the checkpoint.

    Args:
        shape: sizes of the network.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.gEncoder = PaddedFrontEnd(shape.dim)
        recurrent = RECURRENT[shape.recurrent]
        self.gAR = nn.ModuleDict(
            {"baseNet": recurrent(shape.dim, shape.context_dim, num_layers=shape.n_layers, batch_first=True)}
        )


class PaddedFrontEnd(nn.Module):
    """Five zero-padded convolutions, each followed by its norm and ReLU.

    Args:
        channels: channels of every convolution.
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
            # Beyond its end, a recording in a batch must have the same zeros as one alone.
            x = x.masked_fill(padding_mask(lengths, x.shape[2]).unsqueeze(1), 0.0)
            x = self.get_submodule(f"conv{layer}")(x)
            x = F.relu(self.get_submodule(f"batchNorm{layer}")(x))
            lengths = output_lengths(layer, lengths)
        return x.transpose(1, 2)


class ChannelNorm(nn.Module):
    """Layer norm with the unbiased variance.

    Args:
        channels: number of channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, channels, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames) → same shape."""
        variance, mean = torch.var_mean(x, dim=1, keepdim=True)
        return (x - mean) * (variance + 1e-5).rsqrt() * self.weight + self.bias


def output_lengths(layer: int, lengths: Tensor) -> Tensor:
    """Inputs → outputs of a convolution, numbered from 0.

    Example:
        >>> output_lengths(0, torch.tensor([1600])).tolist()
        [320]
    """
    return (lengths + 2 * PADDINGS[layer] - KERNELS[layer]) // STRIDES[layer] + 1


def _read_shape(config: Mapping[str, Any], path: str) -> NetworkShape:
    for name, known in SUPPORTED.items():
        if config.get(name, known[0]) not in known:
            supported = ", ".join(str(value) for value in known)
            raise InputError(f"{path} has {name} {config[name]}, which is not supported; supported: {supported}")
    sizes = {"hiddenEncoder": 256, "hiddenGar": 256, "nLevelsGRU": 1}
    sizes = {name: config.get(name, default) for name, default in sizes.items()}
    for name, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise InputError(
                f"{path} has {name} = {value!r}, expected a whole number of at least 1; the file is damaged"
            )
    return NetworkShape(sizes["hiddenEncoder"], sizes["hiddenGar"], config.get("arMode", "LSTM"), sizes["nLevelsGRU"])
