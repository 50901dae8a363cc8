"""SEW: a transformer that runs at a lower rate than its frames (Wu et al. 2021)."""

from torch import Tensor

from lightning_mia.models.base import Encoded
from lightning_mia.models.features import padding_mask
from lightning_mia.models.huggingface.encoder import Wav2Vec2Like


class SEW(Wav2Vec2Like):
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
