"""Published CPC checkpoints.

This is the CPC of Rivière et al. (2020), which Tseng et al. (2022) attack.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.cpc import KERNELS, STRIDES
from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.objectives.future_prediction import (
    draw_windows,
    prediction_collapse,
    prediction_loss,
    prediction_score,
)
from lightning_mia.models.outputs import Encoded, Pretext
from lightning_mia.models.published.base import PublishedEncoder, as_mapping, load_published, read_published
from lightning_mia.models.published.cpc_predictors import PREFIX, Predictors
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import Rate, Share, Weight

PADDINGS = (3, 2, 1, 1, 1)  # zeros at either end
RECURRENT = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
TRAINING_SETTINGS = "checkpoint_args.json"  # beside a checkpoint of the authors' training
# Supported values of the authors' configuration; the first is the default of their code.
SUPPORTED = {
    "arMode": tuple(RECURRENT),
    "encoder_type": ("cpc",),
    "normMode": ("layerNorm",),
    "cpc_mode": (None, "none"),
}


class PublishedCPC(PublishedEncoder):
    """CPC_audio checkpoint such as 60k_epoch4-d0f474de.pt, S3PRL's `modified_cpc`.

    The outputs equal, up to rounding, those of the authors' code for each recording alone: waveforms are not
    normalised, and the convolutions pad zeros at the recording's own ends.

    The published files hold the encoder only. A checkpoint of the authors' training (`checkpoint_….pt`, with
    checkpoint_args.json beside it) also holds the predictors, linear or transformer layers, and with them the pretext
    task. As in `CPC`, negatives come from the same utterance, and the last frames of a window predict too.

    Args:
        checkpoint: file of the checkpoint.
        fresh: same configuration with random weights, for the untrained control.
        learning_rate: peak learning rate of AdamW (published: 2e-4).
        weight_decay: weight decay of AdamW.
        warmup_fraction: share of the steps in which the learning rate rises.

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
    companions: ClassVar[tuple[str, ...]] = (TRAINING_SETTINGS,)

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
        content = _read(checkpoint)
        config = as_mapping(content["config"], f"config of {checkpoint}")
        shape = _read_shape(config, checkpoint)
        self.configuration = asdict(shape)
        self.network = CPCNetwork(shape)
        criterion = as_mapping(content.get("cpcCriterion", {}), f"cpcCriterion of {checkpoint}")
        self.head = Predictors.like(criterion)
        self.noise_dim = shape.n_negatives if self.head is not None else 0
        self.window, self.scale = shape.window, float(shape.dim)
        if not fresh:
            load_published(self.network, as_mapping(content["weights"], f"weights of {checkpoint}"), checkpoint)
        if self.head is not None and not fresh:
            weights = {name.removeprefix(PREFIX): weight for name, weight in criterion.items()}
            load_published(self.head, weights, checkpoint)

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

    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        """Compute the log-odds of the true frames' geometric mean probability; see `prediction_score`.

        Raises:
            InputError: the checkpoint holds the encoder only.
        """
        head = self._require_head()
        if noise is None:
            raise ValueError("Expected noise to draw negatives from, but got None")
        return prediction_score(head, self.encode(waveforms, lengths), noise, self.scale)

    def pretext(self, waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Pretext:
        """Compute the InfoNCE loss of an excerpt of every utterance; `masks` are ignored.

        Raises:
            InputError: the checkpoint holds the encoder only.
        """
        head = self._require_head()
        encoded = self.encode(*draw_windows(waveforms, lengths, self.window))
        return prediction_loss(head, encoded, self.noise_dim, self.scale)

    def collapse(self, health: dict[str, float]) -> str:
        """Describe constant frames or a loss at chance, if any."""
        return prediction_collapse(health)


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of a published CPC."""

    dim: int  # channels of the convolutions
    context_dim: int
    recurrent: str
    n_layers: int  # recurrent layers; the last one is the context
    n_negatives: int = 128
    window: int = 20_480  # samples of a training excerpt


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


def _read(path: str) -> dict[str, Any]:
    """Read a published file, or a checkpoint of the authors' training."""
    content = read_published(path, "CPC", ("config", "weights"), alternative=("gEncoder", "cpcCriterion"))
    if "weights" in content:
        return content
    settings = Path(path).with_name(TRAINING_SETTINGS)
    try:
        config = json.loads(settings.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{settings}, the settings of the training of {path}, is missing or damaged; copy it from the folder of "
            "that training"
        ) from error
    return {"config": config, "weights": content["gEncoder"], "cpcCriterion": content["cpcCriterion"]}


def _read_shape(config: Mapping[str, Any], path: str) -> NetworkShape:
    for name, known in SUPPORTED.items():
        if config.get(name, known[0]) not in known:
            supported = ", ".join(str(value) for value in known)
            raise InputError(f"{path} has {name} {config[name]}, which is not supported; supported: {supported}")
    sizes = {"hiddenEncoder": 256, "hiddenGar": 256, "nLevelsGRU": 1, "negativeSamplingExt": 128, "sizeWindow": 20_480}
    sizes = {name: config.get(name, default) for name, default in sizes.items()}
    for name, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise InputError(
                f"{path} has {name} = {value!r}, expected a whole number of at least 1; the file is damaged"
            )
    return NetworkShape(
        sizes["hiddenEncoder"],
        sizes["hiddenGar"],
        config.get("arMode", "LSTM"),
        sizes["nLevelsGRU"],
        sizes["negativeSamplingExt"],
        sizes["sizeWindow"],
    )
