"""Mean pairwise cosine of frames: closed form against full matrix."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from sklearn.metrics.pairwise import cosine_similarity

from lightning_mia.signals.features.cosine import mean_pairwise_cosine
from tools.benchmark.devices import device_name
from tools.benchmark.rows import Row, faster

SIZES = [(49, 64), (499, 768), (634, 768), (1500, 1024)]  # frames, dimensions


def measure(quick: bool) -> Iterator[Row]:
    """Measure milliseconds of the fastest run by utterance size."""
    torch.set_num_threads(1)
    repeats = 3 if quick else 30
    for frames, dim in SIZES:
        vectors = torch.randn(frames, dim, generator=torch.Generator().manual_seed(0))
        closed, ours = _fastest(repeats, mean_pairwise_cosine, vectors[None], torch.tensor([frames]))
        for peer, function in (("float64 matrix", by_matrix), ("scikit-learn, float32", by_scikit_learn)):
            slow, theirs = _fastest(repeats, function, vectors)
            yield faster(
                f"{frames} × {dim} frames, against {peer}",
                1000 * closed,
                peer,
                1000 * slow,
                unit="ms",
                device=device_name("cpu"),
                note=f"largest difference {abs(float(ours[0] - theirs)):.1e}",
            )


def by_matrix(vectors: torch.Tensor) -> torch.Tensor:
    """Average over all pairs, in float64 like the closed form."""
    unit = torch.nn.functional.normalize(vectors.double(), dim=-1)
    cosines = unit @ unit.T
    n = len(vectors)
    return (cosines.sum() - cosines.trace()) / (n * (n - 1))


def by_scikit_learn(vectors: torch.Tensor) -> torch.Tensor:
    """Average the upper triangle of scikit-learn's matrix, in float32."""
    cosines = cosine_similarity(vectors.numpy())
    return torch.tensor(cosines[np.triu_indices(len(vectors), k=1)].mean())


def _fastest(
    repeats: int, function: Callable[..., torch.Tensor], *arguments: torch.Tensor
) -> tuple[float, torch.Tensor]:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function(*arguments)
        seconds.append(time.perf_counter() - start)
    return min(seconds), result
