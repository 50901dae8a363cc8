"""View consistency: similarity of encoder outputs between augmented views."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.outputs import Encoded
from lightning_mia.signals.base import Measured, SignalGroup
from lightning_mia.signals.features.cosine import mean_pool
from lightning_mia.signals.features.frame_statistics import (
    COSINE_RESOLUTION,
    moments,
    unit_vectors,
    without_rounding,
)
from lightning_mia.signals.inputs.augmentations import (
    BandStop,
    Gain,
    Mixed,
    Reversed,
    TimeCrop,
    TimeShift,
    View,
    WhiteNoise,
    apply_view,
    reverse_frames,
)
from lightning_mia.utilities.ranges import Decibels, Range, Seed


@dataclass(frozen=True)
class ViewAgreement(SignalGroup):
    """Cosines between a recording and its views (black-box).

    It takes 7 + `n_views` passes.

    Columns, for the middle and the last layer: `views_noise_pooled_layer2`, cosine of the pooled vectors, for each kind
    of view (noise, gain, crop, shift, band, reversed); `views_noise_frames_layer2`, mean cosine of the frames, for
    views that keep frames in place. Also `views_pair00` …, the cosines of all pairs of `n_views` mixed views at the
    last layer, pooled, in ascending order (EncoderMI, Liu et al. 2021, section 4.2: 45 pairs of 10 views).

    Args:
        n_views: mixed views.
        snr: signal-to-noise ratio of the noise view (dB).
        seed: seed of the views.

    Example:
        >>> group = ViewAgreement(n_views=10)
        >>> group.queries, [view.name for view in group.kinds]
        (17, ['noise', 'gain', 'crop', 'shift', 'band', 'reversed'])
    """

    name = "views"
    version = 3

    n_views: Annotated[int, Range(2, 100)] = 10
    snr: Decibels = 20.0
    seed: Seed = 0

    @property
    def kinds(self) -> tuple[View, ...]:
        """One view of each kind."""
        return WhiteNoise(self.snr), Gain(), TimeCrop(), TimeShift(), BandStop(), Reversed()

    @property
    def queries(self) -> int:
        """The recording, the kinds of views, the mixed views."""
        return 1 + len(self.kinds) + self.n_views

    def measure(self, model: SpeechModel, batch: Batch) -> Measured:
        """Compare views with the recording and each other."""
        original = model.encode(batch.waveforms, batch.lengths)
        scalars: dict[str, Tensor] = {}
        for view in self.kinds:
            for name, values in agreement(original, _encode(model, batch, view, 0, self.seed), view).items():
                scalars[f"{self.name}_{view.name}_{name}"] = values
        mixed = [_encode(model, batch, Mixed(), draw, self.seed) for draw in range(self.n_views)]
        pooled = torch.stack([mean_pool(encoded.hidden[-1], encoded.lengths) for encoded in mixed], dim=1)
        pairs = sorted_pair_cosines(pooled)
        digits = len(str(pairs.shape[1] - 1))
        scalars |= {f"{self.name}_pair{i:0{digits}d}": pairs[:, i] for i in range(pairs.shape[1])}
        return Measured(scalars)


def agreement(original: Encoded, other: Encoded, view: View) -> dict[str, Tensor]:
    """Compute cosines between a recording and a view.

    Returns:
        (batch,) float64 each, by `pooled_layer2`, `frames_layer2`, ….
    """
    cosines = {}
    for layer in middle_and_last(len(original.hidden)):
        first, second = original.hidden[layer], other.hidden[layer]
        products = unit_vectors(mean_pool(first, original.lengths)) * unit_vectors(mean_pool(second, other.lengths))
        cosines[f"pooled_layer{layer}"] = without_rounding(products.sum(dim=1), 1.0, COSINE_RESOLUTION)
        if view.keeps_time:
            second = reverse_frames(second, other.lengths) if view.reverses else second
            frame_cosines = (unit_vectors(first) * unit_vectors(second)).sum(dim=2)  # (batch, frames)
            frame_cosines = without_rounding(frame_cosines, 1.0, COSINE_RESOLUTION)
            cosines[f"frames_layer{layer}"] = moments(frame_cosines, ~padding_mask(original.lengths, first.shape[1]))[0]
    return cosines


def middle_and_last(n_layers: int) -> list[int]:
    """Return the middle and the last layer.

    >>> middle_and_last(3), middle_and_last(13)
    ([1, 2], [6, 12])
    """
    return sorted({n_layers // 2, n_layers - 1})


def sorted_pair_cosines(pooled: Tensor) -> Tensor:
    """Compute cosines of all pairs of views, in ascending order.

    Args:
        pooled: (batch, views, dim).

    Returns:
        (batch, pairs) float64.

    >>> sorted_pair_cosines(torch.tensor([[[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]])).tolist()
    [[0.0, 0.0, 1.0]]
    """
    unit = unit_vectors(pooled)
    rows, columns = torch.triu_indices(pooled.shape[1], pooled.shape[1], offset=1, device=pooled.device)
    return torch.bmm(unit, unit.transpose(1, 2))[:, rows, columns].sort(dim=1).values


def _encode(model: SpeechModel, batch: Batch, view: View, draw: int, seed: int) -> Encoded:
    changed = apply_view(batch, view, draw, seed)
    return model.encode(changed.waveforms, changed.lengths)
