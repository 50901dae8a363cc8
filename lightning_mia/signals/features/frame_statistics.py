"""How the frames of an utterance lie to each other: statistics of one layer, accumulated in float64.

All take `hidden (batch, frames, dim)` and `lengths (batch,)`, and return (batch,) float64 by name. What stands beyond
an utterance's end does not matter, nor how long its neighbours in the batch are.
"""

import torch
from torch import Tensor

from lightning_mia.models.layers.features import padding_mask

Statistics = dict[str, Tensor]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MAX_FRAMES = 512  # whose pairs are compared; of longer utterances every second, third, … frame


def pair_statistics(hidden: Tensor, lengths: Tensor, most_frames: int = MAX_FRAMES) -> Statistics:
    """Spread, skewness and quantiles of the cosines between all pairs of frames.

    Args:
        hidden: (batch, frames, dim).
        lengths: (batch,) int64, real frames.
        most_frames: of a longer utterance, evenly spaced frames are compared, at most so many.

    >>> hidden = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]]])
    >>> pair_statistics(hidden, torch.tensor([3]))["cos_q50"]  # cosines 0, 0, 1
    tensor([0.], dtype=torch.float64)
    """
    hidden, lengths = thinned(hidden, lengths, most_frames)
    unit = unit_vectors(hidden)
    rows, columns = torch.triu_indices(hidden.shape[1], hidden.shape[1], offset=1, device=hidden.device)
    cosines = torch.bmm(unit, unit.transpose(1, 2))[:, rows, columns]  # (batch, pairs)
    real = columns < lengths.unsqueeze(1)  # the column is the later frame
    _, deviation, skewness = moments(cosines, real)
    return {"cos_sd": deviation, "cos_skewness": skewness, **_named("cos", cosines, real)}


def norm_statistics(hidden: Tensor, lengths: Tensor) -> Statistics:
    """Mean, spread and quantiles of the frames' lengths as vectors."""
    norms = torch.linalg.vector_norm(hidden.double(), dim=2)  # (batch, frames)
    real = ~padding_mask(lengths, hidden.shape[1])
    mean, deviation, _ = moments(norms, real)
    return {"norm_mean": mean, "norm_sd": deviation, **_named("norm", norms, real)}


def smoothness(hidden: Tensor, lengths: Tensor) -> Statistics:
    """How much a frame is like the next one: cosine (mean and spread), and mean length of the step between them."""
    hidden = hidden.double()
    unit = unit_vectors(hidden)
    real = ~padding_mask(lengths - 1, hidden.shape[1] - 1)
    mean, deviation, _ = moments((unit[:, 1:] * unit[:, :-1]).sum(dim=2), real)
    steps, _, _ = moments(torch.linalg.vector_norm(hidden[:, 1:] - hidden[:, :-1], dim=2), real)
    return {"next_cos_mean": mean, "next_cos_sd": deviation, "step_mean": steps}


def cloud_statistics(hidden: Tensor, lengths: Tensor) -> Statistics:
    """The frames as a cloud of points: length of their mean, its share of the energy, and number of directions.

    The number of directions is the participation ratio (tr C)² / tr C² of their covariance C: 1 on a line, dim in a
    ball.
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


def thinned(hidden: Tensor, lengths: Tensor, most_frames: int) -> tuple[Tensor, Tensor]:
    """Every utterance's first, (1 + s)th, (1 + 2s)th, … frame, s the least step that gives at most `most_frames`."""
    if int(lengths.max()) <= most_frames:
        return hidden, lengths
    step = (lengths + most_frames - 1) // most_frames  # (batch,)
    places = torch.arange(most_frames, device=hidden.device) * step.unsqueeze(1)  # (batch, most_frames)
    places = places.clamp(max=hidden.shape[1] - 1).unsqueeze(2).expand(-1, -1, hidden.shape[2])
    return hidden.gather(1, places), (lengths + step - 1) // step


def unit_vectors(vectors: Tensor) -> Tensor:
    """(…, dim) → the same in float64, of length 1; a vector of length 0 has no direction and stays."""
    vectors = vectors.double()
    norms = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return torch.where(norms > 0, vectors / norms, 0.0)


def moments(values: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, standard deviation and skewness over the real values of every row; 0 for an empty row.

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
    """Quantiles over the real values of every row, linear between two of them; 0 for an empty row.

    Args:
        values: (batch, n) float64.
        real: (batch, n) bool.
        levels: from 0 to 1.

    Returns:
        (batch, levels) float64.
    """
    ordered = torch.where(real, values, torch.inf).sort(dim=1).values
    count = real.sum(dim=1, keepdim=True)
    place = (count - 1).clamp(min=0) * torch.tensor(levels, dtype=torch.float64, device=values.device)
    below = place.floor().long()
    above = torch.minimum(below + 1, (count - 1).clamp(min=0))
    low, high = ordered.gather(1, below), ordered.gather(1, above)
    return torch.where(count > 0, low + (high - low) * (place - below), 0.0)


def _named(stem: str, values: Tensor, real: Tensor) -> Statistics:
    if not values.shape[1]:
        values, real = values.new_zeros(len(values), 1), real.new_zeros(len(values), 1)
    found = quantiles(values, real, QUANTILES)
    return {f"{stem}_q{round(100 * level):02d}": found[:, i] for i, level in enumerate(QUANTILES)}


def _ratio(over: Tensor, under: Tensor) -> Tensor:
    """over / under, and 0 where nothing is below."""
    return torch.where(under > 0, over / torch.where(under > 0, under, 1.0), 0.0)
