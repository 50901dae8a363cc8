"""Published TERA and Mockingjay of S3PRL.

This is the TERA of Liu, Li and Lee (2021), which Tseng et al. (2022) attack.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.layers.masking import SpanMask
from lightning_mia.models.objectives.reconstruction import Alteration, masked_error, reconstruction_score
from lightning_mia.models.outputs import Encoded, Pretext
from lightning_mia.models.published.base import PublishedEncoder, as_mapping, load_published, read_published
from lightning_mia.models.published.mel import MelSettings, PublishedMel, mel_settings
from lightning_mia.models.published.tera_network import ACTIVATIONS, SpecHead, TERANetwork
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import Count, PositiveShare, Rate, Share, Weight

SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")
LOSSES = {"L1": 1, "MSE": 2}  # powers of the error
PUBLISHED_MASK = SpanMask(0.15, 7)


class PublishedTERA(PublishedEncoder):
    """TERA of an S3PRL checkpoint (`states-….ckpt`) on log-mel frames.

    The hidden states equal, up to rounding, those of S3PRL's upstream for each recording alone. As there, a recording
    longer than the model's longest input (published: 1500 frames) is cut into equal pieces, which are encoded
    separately. The first hidden state is the input of the first layer, the last one S3PRL's `last_hidden_state`.

    The pretext task is that of the checkpoint's training, with its masks, noise, loss and dropout. It is available if
    the file holds the prediction head (`SpecHead`), and if that predicts the frames that the encoder takes.

    Args:
        checkpoint: file of the checkpoint.
        fresh: same configuration with random weights, for the untrained control.
        mask_probability: spans × length / frames; spans may overlap; null: that of the checkpoint (published: 0.15).
        mask_length: frames of 10 ms per masked span; null: that of the checkpoint (published: 7).
        learning_rate: peak learning rate of AdamW (published: 2e-4).
        weight_decay: weight decay of AdamW.
        warmup_fraction: share of the steps in which the learning rate rises.

    Example:
        >>> import tempfile
        >>> transformer = {
        ...     **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32},
        ...     **{"hidden_act": "gelu", "layer_norm_eps": 1e-12, "initializer_range": 0.02},
        ...     **{"share_layer": False, "pre_layer_norm": False},
        ...     **{"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1},
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
        mask_probability: PositiveShare | None = None,
        mask_length: Count | None = None,
        learning_rate: Rate = 2e-4,
        weight_decay: Weight = 0.01,
        warmup_fraction: Share = 0.1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.is_pretrained = not fresh
        content = read_published(checkpoint, "TERA", ("Config", "Transformer"))
        config, mel, self.task = _read_config(content, checkpoint)
        self.configuration = {**config, **asdict(mel), "task": self.task}
        self.mel = PublishedMel(mel)
        self.network = TERANetwork(self.mel.dim, config)
        self.head = SpecHead(self.mel.dim, config) if "SpecHead" in content and self.task.predicts_input else None
        self.mask_span = SpanMask(
            mask_probability or self.task.mask_span.probability, mask_length or self.task.mask_span.length
        )
        for entry, module in {"Transformer": self.network, "SpecHead": self.head}.items():
            if module is not None and not fresh:
                weights = as_mapping(content[entry], f"{entry} of {checkpoint}")
                load_published(module, {_modern_name(name): weight for name, weight in weights.items()}, checkpoint)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames."""
        return self.mel.frame_lengths(lengths)

    def encode(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode a batch, see `SpeechModel.encode`.

        A masked frame is set to zero, the recording's mean frame.
        """
        frames = self.mel(waveforms, lengths)
        if masks is not None:
            frames = frames.masked_fill(masks.unsqueeze(2), 0.0)
        return self._encode_frames(frames, lengths)

    def _encode_frames(self, frames: Tensor, lengths: Tensor) -> Encoded:
        frame_lengths = self.frame_lengths(lengths)
        cuts = [self._cut(row[:n]) for row, n in zip(frames, frame_lengths.tolist(), strict=True)]
        counts = [len(cut) for cut in cuts]
        pieces = [piece for cut in cuts for piece in cut]
        sizes = torch.tensor([len(piece) for piece in pieces], device=frames.device)
        hidden = self.network(pad_sequence(pieces, batch_first=True), sizes)
        return Encoded(tuple(_join(layer, sizes, counts, frames.shape[1]) for layer in hidden), frame_lengths)

    def pretext(self, waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Pretext:
        """Compute the error of altered frames and bands; see `SpeechModel.pretext`.

        Raises:
            InputError: the checkpoint holds the encoder only.
        """
        head, task = self._require_head(), self.task
        frames, frame_lengths = self.mel(waveforms, lengths), self.frame_lengths(lengths)
        real = ~padding_mask(frame_lengths, frames.shape[1]).unsqueeze(2)
        bands = task.alteration.bands(frames)
        altered = (masks.unsqueeze(2) | bands) & real  # (batch, frames, dim)
        inputs = task.alteration.alter(frames, frame_lengths, masks, bands)
        outputs = head(self._encode_frames(inputs, lengths).hidden[-1]).float()
        loss = masked_error(outputs, frames, altered, task.power)
        return Pretext(loss, {"masked_share": altered.sum() / (real.sum() * frames.shape[2])})

    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        """Compute −log of the mean error over masked frames.

        All masked frames are set to zero. See `SpeechModel.pretext_score`.

        Raises:
            InputError: the checkpoint holds the encoder only.
        """
        head, frames = self._require_head(), self.mel(waveforms, lengths)
        scores = []
        for mask in masks.reshape(-1, *masks.shape[-2:]):
            hidden = self._encode_frames(frames.masked_fill(mask.unsqueeze(2), 0.0), lengths).hidden[-1]
            scores.append(reconstruction_score(head(hidden).float(), frames, mask, self.task.power))
        return torch.stack(scores).view(masks.shape[:-1])

    def _cut(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Cut a recording (frames, dim) into the fewest equal pieces."""
        n_pieces = -(-len(frames) // self.task.longest) if self.task.longest > 0 else 1
        return frames.chunk(n_pieces)


@dataclass(frozen=True)
class PublishedTask:
    """Pretext task of a checkpoint."""

    longest: int  # frames; 0: any
    mask_span: SpanMask
    alteration: Alteration
    power: int  # of the error
    predicts_input: bool  # whether its targets are the frames that the encoder takes


def _read_config(content: dict[str, Any], path: str) -> tuple[dict[str, Any], MelSettings, PublishedTask]:
    """Parse transformer, log-mel frames, and pretext task."""
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
        for name in DROPOUTS:
            shape[name] = float(entries["transformer"].get(name, 0.0))
        for name in ("share_layer", "pre_layer_norm"):
            shape[name] = bool(entries["transformer"][name])
        shape["hidden_act"] = str(entries["transformer"]["hidden_act"])
        mel = mel_settings(entries["audio"], path)
        task = _read_task(entries["task"], entries["audio"], mel)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"The configuration in {path} lacks a value or has an invalid one: {error}") from error
    if shape["hidden_act"] not in ACTIVATIONS:
        raise InputError(f"{path} has the activation {shape['hidden_act']}; supported: {', '.join(ACTIVATIONS)}")
    if min(shape[name] for name in SIZES) < 1 or shape["hidden_size"] % shape["num_attention_heads"]:
        raise InputError(
            f"{path} has a transformer of impossible sizes; the file is damaged: {[shape[name] for name in SIZES]}"
        )
    return shape, mel, task


def _read_task(task: Mapping[str, Any], audio: Mapping[str, Any], mel: MelSettings) -> PublishedTask:
    """Parse the pretext task; defaults are those of TERA."""
    share = float(task.get("mask_proportion", PUBLISHED_MASK.probability))
    lengths = [int(task.get(f"mask_consecutive_{end}", PUBLISHED_MASK.length)) for end in ("min", "max")]
    dim, bands = mel.n_mels * (1 + mel.deltas), float(task.get("mask_frequency", 0))
    loss = str(task.get("loss", "L1"))
    if not (0 <= share <= 1 and lengths[0] >= 1 and 0 <= bands <= dim and loss in LOSSES):
        raise ValueError(f"mask_proportion {share}, mask_consecutive_min {lengths[0]}, mask_frequency {bands}, {loss}")
    return PublishedTask(
        longest=int(task["sequence_length"]),
        mask_span=SpanMask(share or PUBLISHED_MASK.probability, round(sum(lengths) / 2)),
        # Older files hold the number of bands.
        alteration=Alteration(int(bands * dim if bands <= 1 else bands), float(task.get("noise_proportion", 0))),
        power=LOSSES[loss],
        predicts_input=_described(audio.get("target", audio["input"])) == _described(audio["input"]),
    )


def _described(frame: Mapping[str, Any]) -> tuple[Any, ...]:
    """Describe frames, with the defaults of S3PRL."""
    return frame["feat_type"], bool(frame.get("log")), int(frame.get("delta", 0)), bool(frame.get("cmvn"))


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
