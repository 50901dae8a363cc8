"""The geometry of an encoder's answer to the plain waveform: its frames, and their mean among other recordings'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import Measured, SignalGroup
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


@dataclass(frozen=True)
class EncoderGeometry(SignalGroup):
    """Statistics of every layer's frames and of their mean (black-box, one pass).

    Columns `geometry_<statistic>_layer0` …: see `frame_statistics` and, where there are three or more auxiliary
    recordings, `reference_statistics`, whose names begin with `reference_`.

    Args:
        most_frames: frames of an utterance whose pairs are compared, at most.
    """

    name = "geometry"

    most_frames: int = MAX_FRAMES

    def prepared(self, model: SpeechModel, auxiliary: Recordings, batch_seconds: float) -> SignalGroup:
        """With the pooled vectors of the auxiliary recordings."""
        if len(auxiliary) < 3:
            return self
        return _AmongReferences(self, pooled_references(model, auxiliary, batch_seconds))

    def measure(self, model: SpeechModel, batch: Batch) -> Measured:
        """Columns of the frames alone."""
        return self.compare(model, batch, None)

    def compare(self, model: SpeechModel, batch: Batch, references: References | None) -> Measured:
        """Columns of the frames, and with reference recordings those of the pooled vectors too."""
        encoded = model.encode(batch.waveforms, batch.lengths)
        scalars: Statistics = {}
        others = None if references is None else references.apart_from(batch.ids)
        for layer, hidden in enumerate(encoded.hidden):
            found = {
                **pair_statistics(hidden, encoded.lengths, self.most_frames),
                **norm_statistics(hidden, encoded.lengths),
                **smoothness(hidden, encoded.lengths),
                **cloud_statistics(hidden, encoded.lengths),
            }
            if references is not None and others is not None:
                pooled = mean_pool(hidden, encoded.lengths)
                placed = reference_statistics(pooled, references.pooled[:, layer], others)
                found |= {f"reference_{name}": values for name, values in placed.items()}
            scalars |= {f"{self.name}_{name}_layer{layer}": values for name, values in found.items()}
        return Measured(scalars)


@dataclass(frozen=True)
class _AmongReferences(SignalGroup):
    """The same of a model whose answers to reference recordings are known."""

    name = EncoderGeometry.name

    plain: EncoderGeometry
    references: References

    def fingerprint(self) -> dict[str, Any]:
        """The settings; the references follow from the model and the auxiliary recordings."""
        return self.plain.fingerprint()

    def measure(self, model: SpeechModel, batch: Batch) -> Measured:
        """Columns of the frames and of the pooled vectors."""
        return self.plain.compare(model, batch, self.references)
