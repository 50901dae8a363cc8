"""Mean pairwise cosine of an utterance's frames: the closed form against the n × n matrix, in one run.

    python tools/benchmark_similarity.py

Prints a line a size: frames, dimensions, milliseconds of either way, their ratio and largest difference.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from sklearn.metrics.pairwise import cosine_similarity

from lightning_mia.probe.similarity import mean_pairwise_cosine

SIZES = [(49, 64), (499, 768), (634, 768), (1500, 1024)]
REPEATS = 30


def by_matrix(vectors: torch.Tensor) -> torch.Tensor:
    """Every pair of frames, in float64 as the closed form has it."""
    unit = torch.nn.functional.normalize(vectors.double(), dim=-1)
    cosines = unit @ unit.T
    n = len(vectors)
    return (cosines.sum() - cosines.trace()) / (n * (n - 1))


def by_scikit_learn(vectors: torch.Tensor) -> torch.Tensor:
    """The usual way: scikit-learn's matrix, its upper triangle, the mean; in float32."""
    cosines = cosine_similarity(vectors.numpy())
    return torch.tensor(cosines[np.triu_indices(len(vectors), k=1)].mean())


def fastest(function: Callable[..., torch.Tensor], *arguments: torch.Tensor) -> tuple[float, torch.Tensor]:
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = function(*arguments)
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def main() -> None:
    torch.set_num_threads(1)
    print("frames   dim  closed ms  matrix ms  ratio  scikit-learn ms  ratio  difference")
    for frames, dim in SIZES:
        vectors = torch.randn(frames, dim, generator=torch.Generator().manual_seed(0))
        closed, a = fastest(mean_pairwise_cosine, vectors[None], torch.tensor([frames]))
        matrix, b = fastest(by_matrix, vectors)
        sklearn, _ = fastest(by_scikit_learn, vectors)
        print(
            f"{frames:6}  {dim:4}  {1e3 * closed:9.3f}  {1e3 * matrix:9.3f}  {matrix / closed:5.1f}  "
            f"{1e3 * sklearn:15.3f}  {sklearn / closed:5.1f}  {abs(float(a[0] - b)):10.1e}"
        )


if __name__ == "__main__":
    main()
