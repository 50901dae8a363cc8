"""Speaker bootstrap of 100,000 scores, against a loop over scikit-learn.

Both resample speakers. The loop gathers the clips of the drawn speakers and calls `roc_auc_score`; it is timed on a few
replicates. The time of the bootstrap includes drawing and sorting.
"""

import time
from collections.abc import Iterator

import numpy as np
from sklearn.metrics import roc_auc_score

from lightning_mia.evaluation.statistics.bootstrap import bootstrap_auroc, draw_speakers
from lightning_mia.evaluation.statistics.intervals import standard_error
from tools.benchmark.devices import device_name
from tools.benchmark.rows import Row, faster

N_SCORES, N_SPEAKERS = 100_000, 500


def measure(quick: bool) -> Iterator[Row]:
    """Measure milliseconds per replicate."""
    n_bootstraps, n_loops = (100, 5) if quick else (1000, 50)
    generator = np.random.default_rng(0)
    speaker = generator.integers(N_SPEAKERS, size=N_SCORES)
    members = generator.random(N_SCORES) < 0.5
    values = generator.normal(size=N_SPEAKERS)[speaker] + generator.normal(size=len(speaker)) + 0.2 * members

    start = time.perf_counter()
    draws = draw_speakers(speaker.astype(str), members, n_bootstraps, seed=0)
    replicates = bootstrap_auroc(values, members, draws)
    bootstrap_seconds = (time.perf_counter() - start) / n_bootstraps

    start = time.perf_counter()
    looped = loop_over_scikit_learn(values, members, speaker, n_loops, generator)
    loop_seconds = (time.perf_counter() - start) / n_loops
    yield faster(
        f"bootstrap of {N_SCORES:,} scores of {N_SPEAKERS} speakers",
        1000 * bootstrap_seconds,
        "scikit-learn loop",
        1000 * loop_seconds,
        unit="ms per replicate",
        device=device_name("cpu"),
        note=f"standard errors {standard_error(replicates):.5f} and {standard_error(looped):.5f}",
    )


def loop_over_scikit_learn(
    values: np.ndarray, members: np.ndarray, speaker: np.ndarray, n: int, generator: np.random.Generator
) -> np.ndarray:
    """Compute replicates of the AUROC, (n,)."""
    clips = [np.flatnonzero(speaker == name) for name in np.unique(speaker)]
    replicates = []
    for _ in range(n):
        drawn = np.concatenate([clips[number] for number in generator.integers(len(clips), size=len(clips))])
        replicates.append(roc_auc_score(members[drawn], values[drawn]))
    return np.array(replicates)
