"""Base class of transformers encoders, and wav2vec 2.0."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.huggingface.checkpoint_folder import MASK_EMBEDDING, Checkpoint, load_weights
from lightning_mia.models.huggingface.inputs import PaddingAwareConvolutions, Waveform
from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.outputs import Encoded

SMALL_BATCH = 800  # frames, 16 s: activations fit into a CPU's cache


class HuggingFaceEncoder(nn.Module, ABC):
    """Encoder of transformers that includes its preprocessor.

    Outputs do not depend on padding. Attention is torch's scaled dot product. The encoder's own SpecAugment and
    LayerDrop are off, in training too: masks come from the caller.

    Args:
        model: bare encoder of transformers.
        preprocessor: feature extractor of transformers.

    Example:
        >>> import tempfile
        >>> from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor
        >>> from lightning_mia.models.huggingface import load_encoder
        >>> sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
        >>> positions = {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
        >>> folder = tempfile.mkdtemp()
        >>> HubertModel(HubertConfig(**sizes, **positions, conv_dim=[8] * 7)).save_pretrained(folder)
        >>> _ = Wav2Vec2FeatureExtractor().save_pretrained(folder)
        >>> encoder = load_encoder(folder).eval()
        >>> encoded = encoder(torch.zeros(1, 16_000), torch.tensor([16_000]))
        >>> len(encoded.hidden), encoded.hidden[-1].shape
        (3, torch.Size([1, 49, 16]))
    """

    def __init__(self, model: Any, preprocessor: Any) -> None:
        super().__init__()
        self.model = model
        self._layer_inputs: list[Tensor] = []
        for layer in self.layers:
            layer.register_forward_pre_hook(self._record_input)

    @classmethod
    def load(cls, checkpoint: Checkpoint, fresh: bool) -> "HuggingFaceEncoder":
        """Load the weights, or draw random ones if `fresh`."""
        from transformers import MODEL_MAPPING

        model = load_weights(checkpoint, MODEL_MAPPING[type(checkpoint.config)], fresh)
        return cls(model, checkpoint.preprocessor)

    @property
    @abstractmethod
    def layers(self) -> nn.ModuleList:
        """The transformer blocks."""

    @abstractmethod
    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames, integers of any shape."""

    @abstractmethod
    def frames(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """Compute the encoder's input frames, before any mask; see `SpeechModel.encode`."""

    @abstractmethod
    def transform(self, frames: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode the output of `frames` under masks, see `forward`.

        The hidden states may have more frames than those that `forward` returns.
        """

    def forward(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode a batch.

        Args:
            waveforms: (batch, samples) float32 in [-1, 1), 16 kHz, zero-padded on the right.
            lengths: (batch,) int64, real samples.
            masks: (batch, frames) bool, frames to hide; None hides nothing.

        Returns:
            The input of every block, then transformers' `last_hidden_state`.
        """
        return next(self.under(waveforms, lengths, [masks]))

    def under(self, waveforms: Tensor, lengths: Tensor, masks: Iterable[Tensor | None]) -> Iterator[Encoded]:
        """Encode a batch under one mask after the other; see `forward`."""
        frames = self.frames(waveforms, lengths)
        n_frames = int(self.frame_lengths(torch.tensor(waveforms.shape[1])))
        for mask in masks:
            encoded = self.transform(frames, lengths, mask)
            yield Encoded(tuple(hidden[:, :n_frames] for hidden in encoded.hidden), encoded.lengths)

    def _record_input(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._layer_inputs.append(inputs[0])


class Wav2Vec2Encoder(HuggingFaceEncoder):
    """wav2vec 2.0 and encoders of the same structure.

    A masked frame is replaced by the mask embedding after the projection, or by zero if the checkpoint has none.

    Args:
        model: bare encoder of transformers.
        preprocessor: feature extractor of transformers.
    """

    def __init__(self, model: Any, preprocessor: Any) -> None:
        super().__init__(model, preprocessor)
        self._real: Tensor | None = None  # (batch, 1, frames) bool
        for module in model.encoder.modules():
            if isinstance(module, nn.Conv1d) and module.padding[0]:
                module.register_forward_pre_hook(self._zero_padding)
        self.positions = [module for module in model.encoder.modules() if hasattr(module, "extend_pe")]
        self.rotations = [module for module in model.encoder.modules() if hasattr(module, "cached_sequence_length")]
        self._set_up_input(preprocessor)

    def _set_up_input(self, preprocessor: Any) -> None:
        self.input: Any = Waveform(preprocessor)
        self.model.feature_extractor = PaddingAwareConvolutions(self.model.feature_extractor)

    @property
    def layers(self) -> nn.ModuleList:
        """The transformer blocks."""
        return self.model.encoder.layers

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames."""
        return self.model.feature_extractor.frame_lengths(lengths)

    def frames(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples) → (batch, frames, channels)."""
        return self.model.feature_extractor(self.input(waveforms, lengths), lengths)

    def project(self, frames: Tensor) -> Tensor:
        """(batch, frames, channels) → (batch, frames, dim), before any mask."""
        projected = self.model.feature_projection(frames)
        return projected[0] if isinstance(projected, tuple) else projected

    def transform(self, frames: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode the output of `frames` under masks, see `HuggingFaceEncoder.forward`."""
        if frames.device.type != "cpu" or torch.is_grad_enabled() or frames.shape[:2].numel() <= SMALL_BATCH:
            return self.transform_together(frames, lengths, masks)
        frame_counts = self.all_frames(lengths)
        hidden_states: list[Tensor] = []  # per layer (batch, frames, dim)
        for rows in group_by_length(frame_counts.tolist()):
            n_frames = int(frame_counts[rows].max())
            row_masks = None if masks is None else masks[rows, :n_frames]
            part = self.transform_together(frames[rows, :n_frames], lengths[rows], row_masks).hidden
            hidden_states = hidden_states or [h.new_zeros(*frames.shape[:2], h.shape[2]) for h in part]
            for batch_hidden, hidden in zip(hidden_states, part, strict=True):
                batch_hidden[rows, : hidden.shape[1]] = hidden
        return Encoded(tuple(hidden_states), self.frame_lengths(lengths))

    def transform_together(self, frames: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode as `transform`, without dividing the batch by length."""
        x = self.project(frames)
        if masks is not None:
            hidden = F.pad(masks, (0, x.shape[1] - masks.shape[1])).unsqueeze(2)
            x = torch.where(hidden, getattr(self.model, MASK_EMBEDDING).to(x.dtype), x)
        real = ~padding_mask(self.all_frames(lengths), x.shape[1])
        self._reset_positions()
        self._layer_inputs, self._real = [], real.unsqueeze(1)
        last = self._encode(x, real)
        hidden_states, self._layer_inputs, self._real = (*self._layer_inputs, last), [], None
        return Encoded(hidden_states, self.frame_lengths(lengths))

    def all_frames(self, lengths: Tensor) -> Tensor:
        """Samples → frames that `frames` returns, including any that the encoder drops."""
        return self.frame_lengths(lengths)

    def _encode(self, x: Tensor, real: Tensor) -> Tensor:
        """(batch, frames, dim), (batch, frames) bool, real frames → last hidden state."""
        return self.model.encoder(x, attention_mask=real).last_hidden_state

    def _zero_padding(self, convolution: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Zero the frames beyond an utterance's end.

        Data2Vec's stacked positions, conformers and HuBERT's batch norm leave other values there.
        """
        return inputs if self._real is None else (inputs[0].masked_fill(~self._real, 0.0),)

    def _reset_positions(self) -> None:
        """Drop positions cached in lower precision or inference mode."""
        for module in self.rotations:
            module.cached_sequence_length = None
        for module in self.positions:
            if module.pe.dtype != torch.float32 or module.pe.is_inference():
                module.pe = module.extend_pe(torch.empty(1, module.pe.shape[1] // 2 + 1, device=module.pe.device))


def group_by_length(frame_counts: Sequence[int], limit: int = SMALL_BATCH) -> list[list[int]]:
    """Divide rows into batches of similar length.

    A batch holds at most `limit` frames, padding included, or a single row.

    Example:
        >>> group_by_length([250, 100, 110, 90], limit=300)
        [[3, 1], [2], [0]]
    """
    batches: list[list[int]] = []
    for row in sorted(range(len(frame_counts)), key=frame_counts.__getitem__):
        if not batches or (len(batches[-1]) + 1) * frame_counts[row] > limit:
            batches.append([])
        batches[-1].append(row)
    return batches
