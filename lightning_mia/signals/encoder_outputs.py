"""What every audit asks: the encoder's answer to the plain waveform, and the training task under masks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.layers.masking import SpanMask
from lightning_mia.signals.base import Measured, SignalGroup
from lightning_mia.signals.features.cosine import mean_pairwise_cosine, mean_pool
from lightning_mia.signals.inputs.random_masks import draw_masks, draw_noise
from lightning_mia.signals.table import PAIRWISE_COSINE


@dataclass(frozen=True)
class EncoderAnswers(SignalGroup):
    """Mean pairwise cosine and mean of every layer's frames, and the scores of the training task.

    Args:
        n_masks: masks over which an utterance's pretext score is averaged.
        mask_seed: seed of those masks.
    """

    name = "answers"

    n_masks: int = 8
    mask_seed: int = 0

    @property
    def queries(self) -> int:
        """The plain one, and one a mask."""
        return 1 + self.n_masks

    def measure(self, model: SpeechModel, batch: Batch) -> Measured:
        """Columns `pairwise_cosine_layer0` …, `pretext_score_mask0` …, and the pooled vectors."""
        encoded = model.encode(batch.waveforms, batch.lengths)
        scalars = {
            f"{PAIRWISE_COSINE}_layer{layer}": mean_pairwise_cosine(hidden, encoded.lengths)
            for layer, hidden in enumerate(encoded.hidden)
        }
        pooled = torch.stack([mean_pool(hidden, encoded.lengths) for hidden in encoded.hidden], dim=1)
        for name, scores in model.task_scores(batch, *self._questions(model, batch)).items():
            draws = enumerate(scores) if scores.dim() == 2 else []
            scalars |= {f"{name}_mask{draw}": of_draw for draw, of_draw in draws} or {name: scores}
        return Measured(scalars, pooled)

    def law(self, model: SpeechModel) -> SpanMask | None:
        """How masks are drawn: as the model's training masks are."""
        return model.mask_span

    def _questions(self, model: SpeechModel, batch: Batch) -> tuple[Tensor, Tensor]:
        """Masks (draws, batch, frames) bool, and noise (draws, batch, frames, noise dim)."""
        frames = model.frame_lengths(batch.lengths).tolist()
        draws = range(self.n_masks)
        masks = [draw_masks(batch.ids, frames, self.law(model), draw, self.mask_seed) for draw in draws]
        noise = [draw_noise(batch.ids, frames, model.noise_dim, draw, self.mask_seed) for draw in draws]
        device = batch.waveforms.device
        return torch.stack(masks).to(device), torch.stack(noise).to(device)
