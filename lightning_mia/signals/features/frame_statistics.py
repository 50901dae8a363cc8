"""Statistics of a recording's frames at one layer.

The functions that return `Statistics` take `hidden (batch, frames, dim)` and `lengths (batch,)`; each statistic is
(batch,) float64. Padding, and so the length of the other recordings in the batch, has no influence. Sums are in
float64.
"""

import math

import torch
from torch import Tensor

from lightning_mia.models.layers.features import padding_mask

Statistics = dict[str, Tensor]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NORM_RESOLUTION = 1e-2
"""Relative difference from √dim within which all norms behind a layer norm without scale are.

They differ by its epsilon, too, where its inputs are small.
"""

COSINE_RESOLUTION = 1e-7
"""Smallest distance of a cosine from 1 that is not rounding: an angle of 4.5e-4.

A recording and a louder copy of it, behind a normalisation, differ by 1e-8 or less; other views by 1e-5 or more.
"""

MAX_FRAMES = 512  # per recording in pairwise comparisons; longer recordings are subsampled


def pair_statistics(hidden: Tensor, lengths: Tensor, max_frames: int = MAX_FRAMES) -> Statistics:
    """Compute spread, skewness and quantiles of pairwise frame cosines.

    Args:
        hidden: (batch, frames, dim).
        lengths: (batch,) int64, real frames.
        max_frames: maximum number of frames compared; longer recordings are subsampled evenly.

    >>> hidden = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]]])
    >>> pair_statistics(hidden, torch.tensor([3]))["cos_q50"]  # cosines 0, 0, 1
    tensor([0.], dtype=torch.float64)
    """
    hidden, lengths = subsample(hidden, lengths, max_frames)
    unit = unit_vectors(hidden)
    rows, columns = torch.triu_indices(hidden.shape[1], hidden.shape[1], offset=1, device=hidden.device)
    cosines = torch.bmm(unit, unit.transpose(1, 2))[:, rows, columns]  # (batch, pairs)
    real = columns < lengths.unsqueeze(1)  # the column is the later frame
    _, deviation, skewness = moments(cosines, real)
    return {"cos_sd": deviation, "cos_skewness": skewness, **_named_quantiles("cos", cosines, real)}


def norm_statistics(hidden: Tensor, lengths: Tensor) -> Statistics:
    """Compute mean, spread and quantiles of the frames' norms."""
    norms = torch.linalg.vector_norm(hidden.double(), dim=2)  # (batch, frames)
    real = ~padding_mask(lengths, hidden.shape[1])
    constant = math.sqrt(hidden.shape[2])
    differences = _without_rounding_of_layer_norm(norms - constant, real, NORM_RESOLUTION * constant)
    mean, deviation, _ = moments(differences, real)  # exactly 0 if all are
    named = _named_quantiles("norm", constant + differences, real)
    return {"norm_mean": constant + mean, "norm_sd": deviation, **named}


def smoothness(hidden: Tensor, lengths: Tensor) -> Statistics:
    """Compute cosines (mean, spread) and mean distance of successive frames."""
    hidden = hidden.double()
    unit = unit_vectors(hidden)
    real = ~padding_mask(lengths - 1, hidden.shape[1] - 1)
    mean, deviation, _ = moments((unit[:, 1:] * unit[:, :-1]).sum(dim=2), real)
    steps, _, _ = moments(torch.linalg.vector_norm(hidden[:, 1:] - hidden[:, :-1], dim=2), real)
    return {"next_cos_mean": mean, "next_cos_sd": deviation, "step_mean": steps}


def cloud_statistics(hidden: Tensor, lengths: Tensor) -> Statistics:
    """Describe the frames as a point cloud.

    Norm of the mean, its share of the energy, and the participation ratio (tr C)² / tr C² of the covariance C, an
    effective number of dimensions: 1 on a line, dim for an isotropic distribution.
    """
    real = ~padding_mask(lengths, hidden.shape[1]).unsqueeze(2)  # (batch, frames, 1)
    hidden = hidden.double() * real
    count = lengths.double().unsqueeze(1)
    mean = hidden.sum(dim=1) / count  # (batch, dim)
    energy = hidden.square().sum(dim=(1, 2)) / count.squeeze(1)
    centred = (hidden - mean.unsqueeze(1)) * real
    covariance = torch.bmm(centred.transpose(1, 2), centred)  # (batch, dim, dim)
    trace = covariance.diagonal(dim1=1, dim2=2).sum(dim=1)
    squares = covariance.square().sum(dim=(1, 2))
    return {
        "mean_norm": torch.linalg.vector_norm(mean, dim=1),
        "mean_share": _ratio(mean.square().sum(dim=1), energy),
        "directions": _ratio(trace.square(), squares),
    }


def subsample(hidden: Tensor, lengths: Tensor, max_frames: int) -> tuple[Tensor, Tensor]:
    """Keep every s-th frame, at most `max_frames`."""
    if int(lengths.max()) <= max_frames:
        return hidden, lengths
    step = (lengths + max_frames - 1) // max_frames  # (batch,)
    positions = torch.arange(max_frames, device=hidden.device) * step.unsqueeze(1)  # (batch, max_frames)
    positions = positions.clamp(max=hidden.shape[1] - 1).unsqueeze(2).expand(-1, -1, hidden.shape[2])
    return hidden.gather(1, positions), (lengths + step - 1) // step


def _without_rounding_of_layer_norm(differences: Tensor, real: Tensor, resolution: float) -> Tensor:
    """Set differences of norms from √dim to 0 if all are rounding.

    They are so behind a layer norm without scale. The model's float32 rounding depends on the rest of the batch, and
    their statistics would measure nothing else. The transition to ordinary norms, which stay unchanged, is continuous.

    Args:
        differences: (batch, frames) float64.
        real: (batch, frames) bool.
        resolution: largest difference that counts as rounding.
    """
    largest = torch.where(real, differences.abs(), 0.0).amax(dim=1, keepdim=True)
    return differences * (1 - (resolution / largest.clamp(min=resolution)) ** 8)


def without_rounding(values: Tensor, constant: float, resolution: float) -> Tensor:
    """Set values that differ from a constant by rounding alone to it.

    The model's float32 rounding depends on the rest of the batch: where a layer makes all values equal, a statistic
    would measure nothing else. A difference d becomes d − r² / d beyond the resolution r, and 0 within it (Breiman's
    garrote): continuous and monotonic, and without effect on larger differences.

    >>> without_rounding(torch.tensor([0.5, 0.9999, 1.5]), 1.0, 1e-3)
    tensor([0.5000, 1.0000, 1.5000])
    """
    difference = values - constant
    beyond = difference.abs() > resolution
    shrunk = difference - resolution**2 / torch.where(beyond, difference, 1.0)
    return constant + torch.where(beyond, shrunk, 0.0)


def unit_vectors(vectors: Tensor) -> Tensor:
    """Scale vectors (…, dim) to unit norm, in float64.

    Zero vectors stay zero.
    """
    vectors = vectors.double()
    norms = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return torch.where(norms > 0, vectors / norms, 0.0)


def moments(values: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute mean, standard deviation and skewness of every row.

    Over the real values; 0 for an empty row.

    Args:
        values: (batch, n) float64.
        real: (batch, n) bool.
    """
    count = real.sum(dim=1).clamp(min=1)
    mean = torch.where(real, values, 0.0).sum(dim=1) / count
    centred = torch.where(real, values - mean.unsqueeze(1), 0.0)
    variance = centred.square().sum(dim=1) / count
    third = centred.pow(3).sum(dim=1) / count
    return mean, variance.sqrt(), _ratio(third, variance.pow(1.5))


def quantiles(values: Tensor, real: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Interpolate quantiles of every row.

    Over the real values; 0 for an empty row.

    Args:
        values: (batch, n) float64.
        real: (batch, n) bool.
        levels: quantile levels in [0, 1].

    Returns:
        (batch, levels) float64.
    """
    ordered = torch.where(real, values, torch.inf).sort(dim=1).values
    count = real.sum(dim=1, keepdim=True)
    position = (count - 1).clamp(min=0) * torch.tensor(levels, dtype=torch.float64, device=values.device)
    below = position.floor().long()
    above = torch.minimum(below + 1, (count - 1).clamp(min=0))
    low, high = ordered.gather(1, below), ordered.gather(1, above)
    return torch.where(count > 0, low + (high - low) * (position - below), 0.0)


def _named_quantiles(name: str, values: Tensor, real: Tensor) -> Statistics:
    if not values.shape[1]:
        values, real = values.new_zeros(len(values), 1), real.new_zeros(len(values), 1)
    columns = quantiles(values, real, QUANTILES)
    return {f"{name}_q{round(100 * level):02d}": columns[:, i] for i, level in enumerate(QUANTILES)}


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Divide; 0 where the denominator is not positive."""
    positive = denominator > 0
    return torch.where(positive, numerator / torch.where(positive, denominator, 1.0), 0.0)
