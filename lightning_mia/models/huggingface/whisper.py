"""The encoder of Whisper (Radford et al. 2022): log-mel frames of 30 s."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.errors import InputError
from lightning_mia.models.base import Encoded
from lightning_mia.models.huggingface.checkpoint import Checkpoint, load_weights
from lightning_mia.models.huggingface.encoder import HuggingFaceEncoder
from lightning_mia.models.huggingface.inputs import WhisperLogMel

OF_THE_ENCODER = r"^(model\.)?encoder\."  # names of its weights in checkpoints of the whole model


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

        model = load_weights(checkpoint, WhisperEncoder, fresh, renamed={OF_THE_ENCODER: ""})
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
