"""SpecAugment: parts of the log-mel frames hidden in training, others in every step."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of


@dataclass(frozen=True)
class SpecAugment:
    """Hide stretches of frames and of neighbouring mel bands from a model that trains (Park et al. 2019, §2).

    It serves the families that see log-mel frames (TERA, MelHuBERT), whose frames have zero mean in every band: what is
    hidden becomes that mean, as in the paper. It comes on top of what a model hides as its task, and the model is not
    asked for it. There is no time warping, which the paper found to matter least. Queries are never changed.

    Args:
        n_time: stretches of frames that are hidden (the paper's policies LD, SM and SS: 2); 0: none.
        n_frequency: stretches of mel bands likewise; 0: none.
        time_share: largest part of a recording that one stretch of frames hides (the paper's p: 0.2 in SM and SS).
        frequency_share: largest part of the bands that one stretch of bands hides (the paper's F: 27 of 80 in LD and
            SS).
    """

    n_time: int = 0
    n_frequency: int = 0
    time_share: float = 0.2
    frequency_share: float = 0.34

    def __post_init__(self) -> None:
        """Refuse what is no stretch, or leaves nothing."""
        for name in ("n_time", "n_frequency"):
            if getattr(self, name) < 0:
                raise InputError(f"data.spec_augment.{name} is {getattr(self, name)}: give 0 or more")
        for name in ("time_share", "frequency_share"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"data.spec_augment.{name} is {getattr(self, name)}: give a share between 0 and 1")

    @property
    def enabled(self) -> bool:
        """Whether anything is hidden."""
        return bool(self.n_time or self.n_frequency)

    def fingerprint(self) -> dict[str, Any]:
        """The settings, where anything is hidden, for the hash of a stage."""
        return {"spec_augment": asdict(self)} if self.enabled else {}

    def __call__(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Hide stretches of every recording, drawn from torch's global generator.

        Args:
            frames: (batch, frames, bands), zero mean in every band.
            lengths: (batch,) real frames.
        """
        bands = torch.full_like(lengths, frames.shape[2])
        in_time = self._hidden(lengths, self.n_time, self.time_share, frames.shape[1])
        in_frequency = self._hidden(bands, self.n_frequency, self.frequency_share, frames.shape[2])
        return frames.masked_fill(in_time.unsqueeze(2) | in_frequency.unsqueeze(1), 0.0)

    @staticmethod
    def _hidden(lengths: Tensor, n_stretches: int, share: float, size: int) -> Tensor:
        """What a number of stretches hide together: (batch, size) bool."""
        each = lengths.repeat_interleave(n_stretches)
        hidden = draw_spans(each, (share * each).floor(), size)
        return hidden.view(len(lengths), n_stretches, size).any(dim=1)


def draw_spans(lengths: Tensor, widest: Tensor, size: int) -> Tensor:
    """Draw a stretch a row: 0 to `widest` neighbouring places (evenly), somewhere within its length (evenly).

    Args:
        lengths: (rows,) places that a stretch may lie in.
        widest: (rows,) most places of it.
        size: of a row.

    Returns:
        (rows, size) bool, True within the stretch.
    """
    draw = torch.rand(2, len(lengths), 1, device=lengths.device)
    width = (draw[0] * (widest.unsqueeze(1) + 1)).floor()
    first = (draw[1] * (lengths.unsqueeze(1) - width + 1)).floor()
    place = torch.arange(size, device=lengths.device)
    return (place >= first) & (place < first + width)


MAX_SHARE = 0.9
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
        if not 0 <= self.share <= MAX_SHARE:
            raise InputError(f"data.time_masking.share is {self.share}: give a share from 0 to {MAX_SHARE}")
        if not self.span > 0:
            raise InputError(f"data.time_masking.span is {self.span}: give a positive number of seconds")

    def fingerprint(self) -> dict[str, Any]:
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


@dataclass(frozen=True)
class WaveformChanges:
    """Changes to every recording on its way to the model; none by default.

    Args:
        peak_normalise: scale to a peak of 1, as `sox norm` does and Tseng et al. (2022) did.
        reverse: play backwards.
    """

    peak_normalise: bool = False
    reverse: bool = False

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Change one recording, (samples,) float32 → the same.

        >>> WaveformChanges(peak_normalise=True, reverse=True)(np.array([0.0, 0.25, -0.5], np.float32)).tolist()
        [-1.0, 0.5, 0.0]
        """
        peak = float(np.abs(waveform).max()) if self.peak_normalise else 0.0
        if peak > 0:  # digital silence stays as it is
            waveform = waveform / np.float32(peak)
        return waveform[::-1].copy() if self.reverse else waveform

    def fingerprint(self) -> dict[str, Any]:
        """The changes that are made, for the hash of a stage."""
        return {name: value for name, value in asdict(self).items() if value}
