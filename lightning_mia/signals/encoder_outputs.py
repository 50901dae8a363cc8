"""Signals of every audit: encoder outputs and pretext scores."""

from dataclasses import dataclass
from typing import Annotated

import torch

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.layers.masking import SpanMask
from lightning_mia.signals.base import Measured, Resources, SignalGroup, Work, task_passes
from lightning_mia.signals.features.cosine import mean_pairwise_cosine, mean_pool
from lightning_mia.signals.inputs.random_masks import draw_masks_and_noise
from lightning_mia.signals.table import PAIRWISE_COSINE
from lightning_mia.utilities.ranges import Range, Seed

UNMASKED_COST = 1.5  # of the unmasked pass and the cosines of all layers, in passes


@dataclass(frozen=True)
class EncoderAnswers(SignalGroup):
    """Pairwise cosines and pooled frames by layer; pretext scores.

    Args:
        n_masks: masks over which a recording's pretext score is averaged.
        mask_seed: seed of those masks.

    Example:
        >>> EncoderAnswers(n_masks=4).queries  # the unmasked recording, and one pass for each mask
        5
    """

    name = "answers"

    n_masks: Annotated[int, Range(1, 10_000)] = 16
    mask_seed: Seed = 0

    @property
    def queries(self) -> int:
        """One pass without a mask, and one for each mask."""
        return 1 + self.n_masks

    def work(self, model: SpeechModel, recordings: Recordings, resources: Resources) -> Work:
        """Count masks where the model has a task with masks."""
        task = task_passes(model, self.n_masks) if model.has_pretext or model.uses_transcripts else 0.0
        return Work(0.0, (UNMASKED_COST + task) * float(recordings.durations.sum()))

    def measure(self, model: SpeechModel, batch: Batch) -> Measured:
        """Measure `pairwise_cosine_layer0` …, `pretext_score_mask0` …, and the pooled vectors."""
        encoded = model.encode(batch.waveforms, batch.lengths)
        scalars = {
            f"{PAIRWISE_COSINE}_layer{layer}": mean_pairwise_cosine(hidden, encoded.lengths)
            for layer, hidden in enumerate(encoded.hidden)
        }
        pooled = torch.stack([mean_pool(hidden, encoded.lengths) for hidden in encoded.hidden], dim=1)
        inputs = draw_masks_and_noise(model, batch, self.mask_distribution(model), self.n_masks, self.mask_seed)
        for name, scores in model.task_scores(batch, *inputs).items():
            draws = enumerate(scores) if scores.dim() == 2 else []
            scalars |= {f"{name}_mask{draw}": values for draw, values in draws} or {name: scores}
        return Measured(scalars, pooled)

    def mask_distribution(self, model: SpeechModel) -> SpanMask | None:
        """Distribution of the masks: that of the model's training."""
        return model.mask_span
