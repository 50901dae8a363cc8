"""Training recordings with parts silenced at random, others in every epoch."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from lightning_mia.data.batch import Batch
from lightning_mia.data.decoding import SAMPLE_RATE
from lightning_mia.errors import InputError
from lightning_mia.files import hash_of

MOST = 0.9
"""Largest share that may be asked for: something is to be left to learn from."""


@dataclass(frozen=True)
class TimeMasking:
    """Silence spans of every training recording, so that no epoch shows a model the whole of it.

    The time masks of SpecAugment (Park et al. 2019, §2), on the waveform, where they serve every family (the "time
    dropout" of Kharitonov et al. 2021). A model that hides frames as its task, such as TERA or HuBERT, hides them on
    top of this, and what it has to guess is the silenced recording. Queries are never changed.

    Args:
        share: expected share of a recording that is silenced, where spans do not overlap; 0: nothing.
        span: length of a silenced span (seconds).
    """

    share: float = 0.0
    span: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what leaves no speech."""
        if not 0 <= self.share <= MOST:
            raise InputError(f"data.time_masking.share is {self.share}: give a share from 0 to {MOST}")
        if not self.span > 0:
            raise InputError(f"data.time_masking.span is {self.span}: give a positive number of seconds")

    def of_consequence(self) -> dict[str, Any]:
        """The settings, where anything is silenced, for the hash of a stage."""
        return {"time_masking": asdict(self)} if self.share else {}

    def __call__(self, batch: Batch, epoch: int, seed: int) -> Batch:
        """Silence spans of a batch; which ones depends on each recording's id, the epoch and the seed alone.

        Args:
            batch: recordings, as they are.
            epoch: of the training, from 0.
            seed: of the training.
        """
        if not self.share:
            return batch
        lengths = batch.lengths.tolist()
        masks = np.zeros(tuple(batch.waveforms.shape), dtype=bool)
        for mask, name, length in zip(masks, batch.ids, lengths, strict=True):
            self._draw(mask[:length], np.random.default_rng(int(hash_of([seed, epoch, name])[:16], 16)))
        silenced = torch.from_numpy(masks).to(batch.waveforms.device)
        return batch._replace(waveforms=batch.waveforms.masked_fill(silenced, 0.0))

    def _draw(self, mask: np.ndarray, rng: np.random.Generator) -> None:
        """Set spans of a recording's mask, (samples,) bool; in a clip shorter than two spans, a span is half of it."""
        span = min(round(self.span * SAMPLE_RATE), len(mask) // 2)
        n_spans = int(self.share * len(mask) / span + rng.random())  # rounded at random to one of its neighbours
        for start in rng.integers(0, len(mask) - span, n_spans, endpoint=True):
            mask[start : start + span] = True
