"""The encoder of Whisper (Radford et al. 2022): log-mel frames of 30 s."""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.huggingface.checkpoint import Checkpoint, load_weights, open_checkpoint
from lightning_mia.models.huggingface.encoder import HuggingFaceEncoder, Wav2Vec2Encoder
from lightning_mia.models.huggingface.inputs import KaldiFilterBank, WhisperLogMel
from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.outputs import Encoded
from lightning_mia.utilities.errors import InputError


class SEW(Wav2Vec2Encoder):
    """Squeezed and efficient wav2vec: neighbouring frames share a place in the transformer and are told apart after it.

    The hidden states of the blocks are repeated for all frames that share them, so that every layer has as many.
    Frames at the end that do not fill a place are zeros in transformers; here they are left out.
    """

    @property
    def _shared_by(self) -> int:
        return int(self.model.config.squeeze_factor)

    def _all_frames(self, lengths: Tensor) -> Tensor:
        return super().frame_lengths(lengths)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames that have a place."""
        return self._all_frames(lengths) // self._shared_by * self._shared_by

    def project(self, frames: Tensor) -> Tensor:
        """(batch, frames, channels) → (batch, frames, dim), before any mask."""
        x = self.model.layer_norm(frames)
        return self.model.feature_dropout(self.model.feature_projection(x) if self.model.project_features else x)

    def _transform(self, frames: Tensor, lengths: Tensor, masks: Tensor | None) -> Encoded:
        encoded = super()._transform(frames, lengths, masks)
        repeated = (hidden.repeat_interleave(self._shared_by, dim=1) for hidden in encoded.hidden[:-1])
        return Encoded((*repeated, encoded.hidden[-1]), encoded.lengths)

    def _encode(self, x: Tensor, real: Tensor) -> Tensor:
        """As transformers' SEWEncoder, which lets places that are half padding be attended to."""
        from transformers.masking_utils import create_bidirectional_mask

        encoder = self.model.encoder
        x = x.masked_fill(~real.unsqueeze(2), 0.0).transpose(1, 2)  # (batch, dim, frames)
        pooled = encoder.pool(x)  # (batch, dim, places)
        x = (pooled + encoder.pos_conv_embed(x)[..., : pooled.shape[2]]).transpose(1, 2)
        x = encoder.dropout(encoder.layer_norm(x))
        whole = ~padding_mask(real.sum(dim=1) // self._shared_by, x.shape[1])
        attended = create_bidirectional_mask(config=encoder.config, inputs_embeds=x, attention_mask=whole)
        for layer in encoder.layers:
            x = layer(x, attention_mask=attended)
        return encoder.upsample(x)


class Wav2Vec2Bert(Wav2Vec2Encoder):
    """wav2vec2-BERT: a frame is two neighbouring log-mel frames, 20 ms.

    Of an odd number of log-mel frames, transformers keeps a last half frame that no other frame attends to; here it
    is left out.
    """

    input: KaldiFilterBank

    def _set_up_input(self, preprocessor: Any) -> None:
        self.input = KaldiFilterBank(preprocessor)
        wanted = self.model.config.feature_projection_input_dim
        if self.input.dim != wanted:
            raise InputError(
                f"The checkpoint's preprocessor makes frames of {self.input.dim} numbers, but its encoder takes "
                f"{wanted}; the two files are not of one model"
            )

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames."""
        return self.input.frame_lengths(lengths)

    def frames(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples) → (batch, frames, bands of two log-mel frames)."""
        return self.input(waveforms, lengths)


class WavLM(Wav2Vec2Encoder):
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


ENCODER_PREFIX = r"^(model\.)?encoder\."  # names of its weights in checkpoints of the whole model


class Whisper(HuggingFaceEncoder):
    """Whisper's encoder; its decoder is neither read nor run.

    Every recording is brought to 30 s, as in training: a longer one is cut, a shorter one followed by silence, to
    which its frames attend. Only the frames of the recording itself are given.

    Whisper has no mask embedding. A masked frame of 20 ms is two log-mel frames of zeros, as in the SpecAugment of
    its fine-tuning.

    Args:
        model: transformers' WhisperEncoder.
        preprocessor: feature extractor of transformers.
    """

    def __init__(self, model: Any, preprocessor: Any) -> None:
        super().__init__(model, preprocessor)
        self.log_mel = WhisperLogMel(preprocessor)
        self.n_frames = int(model.config.max_source_positions)
        made = (preprocessor.feature_size, preprocessor.nb_max_frames)
        wanted = (model.config.num_mel_bins, 2 * self.n_frames)
        if made != wanted:
            raise InputError(
                f"The checkpoint's preprocessor makes {made[0]} mel bands of {made[1]} frames, but its encoder takes "
                f"{wanted[0]} of {wanted[1]}; the two files are not of one model"
            )

    @classmethod
    def load(cls, checkpoint: Checkpoint, fresh: bool) -> "Whisper":
        """Read the encoder's weights of a checkpoint, or draw fresh ones."""
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        model = load_weights(checkpoint, WhisperEncoder, fresh, renamed={ENCODER_PREFIX: ""})
        return cls(model, checkpoint.preprocessor)

    @property
    def layers(self) -> nn.ModuleList:
        """The transformer blocks."""
        return self.model.layers

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames of 20 ms that begin in the recording, at most 30 s of them."""
        hop = 2 * self.log_mel.hop
        return ((lengths + hop - 1) // hop).clamp(max=self.n_frames)

    def frames(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples) → (batch, bands, log-mel frames of 30 s)."""
        return self.log_mel(waveforms)

    def transform(self, frames: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode what `frames` gave, under masks; see `HuggingFaceEncoder.forward`."""
        if masks is not None:
            hidden = F.pad(masks, (0, self.n_frames - masks.shape[1])).repeat_interleave(2, dim=1)
            frames = frames.masked_fill(hidden.unsqueeze(1), 0.0)
        self._seen = []
        last = self.model(frames).last_hidden_state
        hidden_states, self._seen = (*self._seen, last), []
        return Encoded(hidden_states, self.frame_lengths(lengths))


ENCODERS: dict[str, type[HuggingFaceEncoder]] = {
    "sew": SEW,
    "wav2vec2-bert": Wav2Vec2Bert,
    "wavlm": WavLM,
    "whisper": Whisper,
}


def load_encoder(name: str, revision: str | None = None, fresh: bool = False) -> HuggingFaceEncoder:
    """The encoder of a checkpoint, in training mode.

    Args:
        name: a local folder, or a name on the Hugging Face hub.
        revision: branch, tag or commit of a hub name.
        fresh: the same configuration with weights drawn at random, from torch's global generator.

    Raises:
        InputError: it cannot be found or read, or is of no family that is understood.
    """
    checkpoint = open_checkpoint(name, revision)
    encoder = ENCODERS.get(checkpoint.config.model_type, Wav2Vec2Encoder)
    return encoder.load(checkpoint, fresh)
