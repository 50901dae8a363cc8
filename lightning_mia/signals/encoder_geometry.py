"""Geometry of frames and of pooled encoder outputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import Measure, Measured, Resources, SignalGroup, Work
from lightning_mia.signals.features.cosine import mean_pool
from lightning_mia.signals.features.frame_statistics import (
    MAX_FRAMES,
    Statistics,
    cloud_statistics,
    norm_statistics,
    pair_statistics,
    smoothness,
)
from lightning_mia.signals.features.reference_statistics import References, pooled_references, reference_statistics
from lightning_mia.utilities.ranges import Range

MIN_REFERENCES = 3  # auxiliary recordings; two remain if one of them is the probed recording itself


@dataclass(frozen=True)
class EncoderGeometry(SignalGroup):
    """Statistics of every layer's frames and their mean (black-box).

    It takes one pass.

    Columns `geometry_<statistic>_layer0` …: those of `frame_statistics` and, with three or more auxiliary recordings,
    those of `reference_statistics`, whose names begin with `reference_`.

    Args:
        most_frames: maximum number of frames per recording in pairwise comparisons.

    Example:
        >>> EncoderGeometry(most_frames=256).fingerprint()
        {'group': 'geometry', 'version': 3, 'most_frames': 256}
    """

    name = "geometry"
    version = 3

    most_frames: Annotated[int, Range(2, 1_000_000)] = MAX_FRAMES

    def work(self, model: SpeechModel, recordings: Recordings, resources: Resources) -> Work:
        """Count one pass, of the references too."""
        return Work(float(resources.auxiliary.durations.sum()), float(recordings.durations.sum()))

    def prepare(self, model: SpeechModel, resources: Resources) -> Measure:
        """Pool the auxiliary recordings as references."""
        if len(resources.auxiliary) < MIN_REFERENCES:
            return self.measure
        references = pooled_references(model, resources.auxiliary, resources.batch_seconds)
        return partial(self.measure, references=references)

    def measure(self, model: SpeechModel, batch: Batch, references: References | None = None) -> Measured:
        """Measure the frames and, against references, the pooled vectors."""
        encoded = model.encode(batch.waveforms, batch.lengths)
        scalars: Statistics = {}
        for layer, hidden in enumerate(encoded.hidden):
            statistics = {
                **pair_statistics(hidden, encoded.lengths, self.most_frames),
                **norm_statistics(hidden, encoded.lengths),
                **smoothness(hidden, encoded.lengths),
                **cloud_statistics(hidden, encoded.lengths),
            }
            if references is not None:
                pooled, others = mean_pool(hidden, encoded.lengths), references.excluding(batch.ids)
                relative = reference_statistics(pooled, references.pooled[:, layer], others)
                statistics |= {f"reference_{name}": values for name, values in relative.items()}
            scalars |= {f"{self.name}_{name}_layer{layer}": values for name, values in statistics.items()}
        return Measured(scalars)
