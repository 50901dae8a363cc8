"""SpecAugment, time masking and changes to waveforms."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.utilities.files import hash_of
from lightning_mia.utilities.ranges import CountOrNone, InnerShare, Range, Seconds, check_fields

MAX_SHARE = 0.9  # largest share of a recording that may be silenced


@dataclass(frozen=True)
class SpecAugment:
    """SpecAugment in training (Park et al. 2019, §2).

    It masks spans of frames and of mel bands, drawn anew for every step, and needs a family on log-mel frames (TERA,
    MelHuBERT). These frames have zero mean in every band, and masked values are set to this mean, as in the paper. The
    masks are added to those of the pretext task, and their content is not predicted. Time warping, which the paper
    found to matter least, is not implemented. Probed recordings are never augmented.

    Args:
        n_time: masked spans of frames (the paper's policies LD, SM and SS: 2); 0: none.
        n_frequency: masked spans of mel bands (the same policies: 2); 0: none.
        time_share: largest share of a recording in one span of frames (the paper's p: 0.2 in SM and SS).
        frequency_share: largest share of the bands in one span of bands (the paper's F: 27 of 80 in LD and SS).

    Example:
        >>> frames = SpecAugment(n_time=2, n_frequency=2)(torch.ones(1, 100, 80), torch.tensor([100]))
        >>> frames.shape, frames.unique().tolist()
        (torch.Size([1, 100, 80]), [0.0, 1.0])
    """

    n_time: CountOrNone = 0
    n_frequency: CountOrNone = 0
    time_share: InnerShare = 0.2
    frequency_share: InnerShare = 0.34

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_fields(self, "data.spec_augment.")

    @property
    def enabled(self) -> bool:
        """Whether any span is masked."""
        return bool(self.n_time or self.n_frequency)

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings for a stage hash, if enabled."""
        return {"spec_augment": asdict(self)} if self.enabled else {}

    def __call__(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Mask spans of every recording, drawn from torch's global generator.

        Args:
            frames: (batch, frames, bands), zero mean in every band.
            lengths: (batch,) real frames.
        """
        bands = torch.full_like(lengths, frames.shape[2])
        time_mask = self._draw(lengths, self.n_time, self.time_share, frames.shape[1])
        band_mask = self._draw(bands, self.n_frequency, self.frequency_share, frames.shape[2])
        return frames.masked_fill(time_mask.unsqueeze(2) | band_mask.unsqueeze(1), 0.0)

    @staticmethod
    def _draw(lengths: Tensor, n_spans: int, share: float, size: int) -> Tensor:
        """Draw the union of `n_spans` spans, (batch, size) bool."""
        repeated = lengths.repeat_interleave(n_spans)
        spans = draw_spans(repeated, (share * repeated).floor(), size)
        return spans.view(len(lengths), n_spans, size).any(dim=1)


@dataclass(frozen=True)
class TimeMasking:
    """Random silenced spans in every training recording.

    Spans are drawn anew every epoch. They are the time masks of SpecAugment (Park et al. 2019, §2), applied to the
    waveform and therefore available to every family (the "time dropout" of Kharitonov et al. 2021). The pretext task
    adds its own masks, and its targets are computed from the silenced recording. Probed recordings are never silenced.

    Args:
        share: expected share of a recording that is silenced, if spans do not overlap; 0: none.
        span: length of a silenced span (seconds).

    Example:
        >>> batch = Batch(["a"], torch.ones(1, 16_000), torch.tensor([16_000]))
        >>> silenced = TimeMasking(share=0.2, span=0.1)(batch, epoch=0, seed=0)
        >>> float((silenced.waveforms == 0).float().mean()) > 0.09
        True
    """

    share: Annotated[float, Range(0, MAX_SHARE)] = 0.0
    span: Seconds = 0.1

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_fields(self, "data.time_masking.")

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings for a stage hash, if enabled."""
        return {"time_masking": asdict(self)} if self.share else {}

    def __call__(self, batch: Batch, epoch: int, seed: int) -> Batch:
        """Silence spans of a batch.

        The spans of a recording depend only on its id, the epoch and the seed.

        Args:
            batch: recordings.
            epoch: epoch of the training, from 0.
            seed: seed of the training.
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
        """Set spans of a recording's mask, (samples,) bool.

        In a short clip, a span shrinks to half of the clip.
        """
        span = min(round(self.span * SAMPLE_RATE), len(mask) // 2)
        n_spans = int(self.share * len(mask) / span + rng.random())  # rounded at random up or down
        for start in rng.integers(0, len(mask) - span, n_spans, endpoint=True):
            mask[start : start + span] = True


@dataclass(frozen=True)
class WaveformChanges:
    """Transformations of every input waveform; none by default.

    Args:
        peak_normalise: scale to a peak of 1, as `sox norm` does and Tseng et al. (2022) did.
        reverse: reverse in time.

    Example:
        >>> WaveformChanges(peak_normalise=True, reverse=True)(np.array([0.0, 0.25, -0.5], np.float32)).tolist()
        [-1.0, 0.5, 0.0]
    """

    peak_normalise: bool = False
    reverse: bool = False

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Transform one recording, (samples,) float32 → same shape."""
        peak = float(np.abs(waveform).max()) if self.peak_normalise else 0.0
        if peak > 0:  # digital silence is not scaled
            waveform = waveform / np.float32(peak)
        return waveform[::-1].copy() if self.reverse else waveform

    def fingerprint(self) -> dict[str, Any]:
        """Return the active transformations for a stage hash."""
        return {name: value for name, value in asdict(self).items() if value}


def draw_spans(lengths: Tensor, max_width: Tensor, size: int) -> Tensor:
    """Draw one span per row.

    The width is uniform from 0 to `max_width`; the position is uniform over the valid part.

    Args:
        lengths: (rows,) length of a row's valid part, which contains the span.
        max_width: (rows,) largest width.
        size: length of a row.

    Returns:
        (rows, size) bool, True within the span.
    """
    draw = torch.rand(2, len(lengths), 1, device=lengths.device)
    width = (draw[0] * (max_width.unsqueeze(1) + 1)).floor()
    first = (draw[1] * (lengths.unsqueeze(1) - width + 1)).floor()
    position = torch.arange(size, device=lengths.device)
    return (position >= first) & (position < first + width)


NO_CHANGES = WaveformChanges()


NO_TIME_MASKING = TimeMasking()


NO_SPEC_AUGMENT = SpecAugment()
