"""Mean pairwise cosine similarity in closed form.

With unit vectors x̂, Σ_{i<j} cos(x_i, x_j) = (‖Σ x̂‖² − n) / 2: O(n·d) instead of O(n²·d), and no n × n matrix.
"""

import torch
from torch import Tensor

from lightning_mia.models.layers.features import padding_mask


def mean_pairwise_cosine(vectors: Tensor, lengths: Tensor) -> Tensor:
    """Average the cosine similarity over pairs of vectors.

    Tseng et al. (2022), section 3.2: over the frames of an utterance, or over the pooled utterances of a
    speaker. Accumulated in float64.

    Args:
        vectors: `(batch, n, dim)`, rows beyond a set's length are ignored.
        lengths: `(batch,)` int64, size of each set.

    Returns:
        `(batch,)` float64 in [−1, 1]; NaN for a set with fewer than two vectors.

    >>> vectors = torch.tensor([[[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]]])
    >>> mean_pairwise_cosine(vectors, torch.tensor([3]))  # cosines 1, 0, 0
    tensor([0.3333], dtype=torch.float64)
    """
    vectors = vectors.double()
    norms = torch.linalg.vector_norm(vectors, dim=-1)  # (batch, n)
    # A zero vector has no direction: it counts as orthogonal to all others.
    counted = ~padding_mask(lengths, vectors.shape[1]) & (norms > 0)
    weights = torch.where(counted, norms.reciprocal(), 0.0).unsqueeze(1)
    total = torch.bmm(weights, vectors).squeeze(1)  # (batch, dim) Σ x̂, without a copy of all unit vectors
    n = lengths.double()
    mean = (total.square().sum(-1) - counted.sum(1)) / (n * (n - 1))
    return torch.where(n > 1, mean, torch.nan)  # rounding would make 0 / 0 infinite


def mean_pool(hidden: Tensor, lengths: Tensor) -> Tensor:
    """Average the real frames in float64.

    `(batch, frames, dim)` → `(batch, dim)`.
    """
    mask = ~padding_mask(lengths, hidden.shape[1]).unsqueeze(-1)
    return (hidden.double() * mask).sum(1) / lengths.double().unsqueeze(-1)
