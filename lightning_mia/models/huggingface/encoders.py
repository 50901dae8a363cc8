"""Encoders of transformers that differ from wav2vec 2.0."""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.huggingface.checkpoint_folder import Checkpoint, load_weights, open_checkpoint
from lightning_mia.models.huggingface.encoder import HuggingFaceEncoder, Wav2Vec2Encoder
from lightning_mia.models.huggingface.inputs import KaldiFilterBank, WhisperLogMel
from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.outputs import Encoded
from lightning_mia.utilities.errors import InputError

ENCODER_PREFIX = r"^(model\.)?encoder\."  # of weight names in Whisper checkpoints with a decoder


class SEW(Wav2Vec2Encoder):
    """SEW, whose transformer works on groups of frames.

    The hidden states of the blocks are repeated for all frames of a group, so that all layers have the same number of
    frames. transformers zeroes final frames that do not fill a group; here they are dropped.
    """

    @property
    def _group_size(self) -> int:
        return int(self.model.config.squeeze_factor)

    def all_frames(self, lengths: Tensor) -> Tensor:
        """Samples → frames that `frames` returns, including any that do not fill a group."""
        return super().frame_lengths(lengths)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames in complete groups."""
        return self.all_frames(lengths) // self._group_size * self._group_size

    def project(self, frames: Tensor) -> Tensor:
        """(batch, frames, channels) → (batch, frames, dim), before any mask."""
        x = self.model.layer_norm(frames)
        return self.model.feature_dropout(self.model.feature_projection(x) if self.model.project_features else x)

    def transform_together(self, frames: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode without dividing the batch, see `Wav2Vec2Encoder.transform_together`."""
        encoded = super().transform_together(frames, lengths, masks)
        repeated = (hidden.repeat_interleave(self._group_size, dim=1) for hidden in encoded.hidden[:-1])
        return Encoded((*repeated, encoded.hidden[-1]), encoded.lengths)

    def _encode(self, x: Tensor, real: Tensor) -> Tensor:
        """Encode as transformers' `SEWEncoder`.

        Unlike there, groups that are partly padding are not attended to.
        """
        from transformers.masking_utils import create_bidirectional_mask

        encoder = self.model.encoder
        x = x.masked_fill(~real.unsqueeze(2), 0.0).transpose(1, 2)  # (batch, dim, frames)
        pooled = encoder.pool(x)  # (batch, dim, groups)
        x = (pooled + encoder.pos_conv_embed(x)[..., : pooled.shape[2]]).transpose(1, 2)
        x = encoder.dropout(encoder.layer_norm(x))
        complete = ~padding_mask(real.sum(dim=1) // self._group_size, x.shape[1])
        attended = create_bidirectional_mask(config=encoder.config, inputs_embeds=x, attention_mask=complete)
        for layer in encoder.layers:
            x = layer(x, attention_mask=attended)
        return encoder.upsample(x)


class Wav2Vec2Bert(Wav2Vec2Encoder):
    """wav2vec2-BERT, on pairs of log-mel frames (20 ms).

    With an odd number of log-mel frames, transformers keeps a last half frame that no other frame attends to; here it
    is dropped.
    """

    input: KaldiFilterBank

    def _set_up_input(self, preprocessor: Any) -> None:
        self.input = KaldiFilterBank(preprocessor)
        input_dim = self.model.config.feature_projection_input_dim
        if self.input.dim != input_dim:
            raise InputError(
                f"The checkpoint's preprocessor yields frames of {self.input.dim} numbers, but its encoder takes "
                f"{input_dim}; take both files from the same model"
            )

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames."""
        return self.input.frame_lengths(lengths)

    def half_frames(self, lengths: Tensor) -> Tensor:
        """Samples → last half frames of transformers, 0 or 1."""
        return (self.input.log_mel_lengths(lengths) % self.input.stride).clamp(max=1)

    def frames(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples) → (batch, frames, bands of two log-mel frames)."""
        return self.input(waveforms, lengths)


class WavLM(Wav2Vec2Encoder):
    """WavLM, with torch's fused attention.

    The attention of transformers stores all attention weights.

    Args:
        model: bare encoder of transformers.
        preprocessor: feature extractor of transformers.
    """

    def __init__(self, model: Any, preprocessor: Any) -> None:
        super().__init__(model, preprocessor)
        attentions: list[Any] = [layer.attention for layer in self.layers]
        for attention in attentions:
            attention.torch_multi_head_self_attention = partial(_attend, attention)


class Whisper(HuggingFaceEncoder):
    """Encoder of Whisper (Radford et al. 2022), without the decoder.

    Every recording is cut or padded with silence to 30 s, as in Whisper's training; frames attend to the silence. Only
    the frames of the recording are returned.

    Whisper has no mask embedding. A masked frame of 20 ms is replaced by two log-mel frames of zeros, as in the
    SpecAugment of its fine-tuning.

    Args:
        model: transformers' WhisperEncoder.
        preprocessor: feature extractor of transformers.
    """

    def __init__(self, model: Any, preprocessor: Any) -> None:
        super().__init__(model, preprocessor)
        self.log_mel = WhisperLogMel(preprocessor)
        self.n_frames = int(model.config.max_source_positions)
        output = (preprocessor.feature_size, preprocessor.nb_max_frames)
        expected = (model.config.num_mel_bins, 2 * self.n_frames)
        if output != expected:
            raise InputError(
                f"The checkpoint's preprocessor yields {output[0]} mel bands of {output[1]} frames, but its encoder "
                f"takes {expected[0]} of {expected[1]}; take both files from the same model"
            )

    @classmethod
    def load(cls, checkpoint: Checkpoint, fresh: bool) -> "Whisper":
        """Load the encoder's weights, or random ones if `fresh`."""
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        model = load_weights(checkpoint, WhisperEncoder, fresh, renamed={ENCODER_PREFIX: ""})
        return cls(model, checkpoint.preprocessor)

    @property
    def layers(self) -> nn.ModuleList:
        """The transformer blocks."""
        return self.model.layers

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames of 20 ms that begin in the recording, at most 30 s."""
        hop = 2 * self.log_mel.hop
        return ((lengths + hop - 1) // hop).clamp(max=self.n_frames)

    def frames(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples) → (batch, bands, log-mel frames of 30 s)."""
        return self.log_mel(waveforms)

    def transform(self, frames: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode the output of `frames` under masks, see `HuggingFaceEncoder.forward`."""
        if masks is not None:
            hidden = F.pad(masks, (0, self.n_frames - masks.shape[1])).repeat_interleave(2, dim=1)
            frames = frames.masked_fill(hidden.unsqueeze(1), 0.0)
        self._layer_inputs = []
        last = self.model(frames).last_hidden_state
        hidden_states, self._layer_inputs = (*self._layer_inputs, last), []
        return Encoded(hidden_states, self.frame_lengths(lengths))


ENCODERS: dict[str, type[HuggingFaceEncoder]] = {  # by model_type; all others are Wav2Vec2Encoder
    "sew": SEW,
    "wav2vec2-bert": Wav2Vec2Bert,
    "wavlm": WavLM,
    "whisper": Whisper,
}


def load_encoder(name: str, revision: str | None = None, fresh: bool = False) -> HuggingFaceEncoder:
    """Load the encoder of a checkpoint, in training mode.

    Args:
        name: local folder, or name on the Hugging Face hub.
        revision: branch, tag or commit of a hub name.
        fresh: same configuration with random weights, from torch's global generator.

    Raises:
        InputError: the checkpoint cannot be found or read, or its family is not supported.
    """
    checkpoint = open_checkpoint(name, revision)
    encoder = ENCODERS.get(checkpoint.config.model_type, Wav2Vec2Encoder)
    return encoder.load(checkpoint, fresh)


def _attend(attention: Any, x: Tensor, real: Tensor | None, position_bias: Tensor) -> tuple[Tensor, None]:
    """Replace `WavLMAttention.torch_multi_head_self_attention`.

    Args:
        attention: module whose projections are used.
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
