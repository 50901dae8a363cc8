"""wav2vec2-BERT: a conformer on filter banks, without convolutions on the waveform (Barrault et al. 2023)."""

from typing import Any

from torch import Tensor

from lightning_mia.errors import InputError
from lightning_mia.models.huggingface.encoder import Wav2Vec2Like
from lightning_mia.models.huggingface.inputs import KaldiFilterBank


class Wav2Vec2Bert(Wav2Vec2Like):
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
