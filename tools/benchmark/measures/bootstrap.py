"""Bootstrap of 100,000 scores over speakers, against a loop over scikit-learn's AUROC.

Both draw whole speakers. The loop gathers the clips of the speakers drawn and calls `roc_auc_score`; its time
is that of a few replicates, the bootstrap's that of all of them, the drawing and the sorting included.
"""

import time
from collections.abc import Iterator

import numpy as np
from sklearn.metrics import roc_auc_score

from lightning_mia.evaluation.statistics.bootstrap import bootstrap_auroc, draw_speakers
from lightning_mia.evaluation.statistics.intervals import standard_error
from tools.benchmark.devices import name_of
from tools.benchmark.rows import Row, faster

N_SCORES, N_SPEAKERS = 100_000, 500


def measure(quick: bool) -> Iterator[Row]:
    """Milliseconds a replicate."""
    n_bootstraps, n_of_loop = (100, 5) if quick else (1000, 50)
    generator = np.random.default_rng(0)
    speaker = generator.integers(N_SPEAKERS, size=N_SCORES)
    members = generator.random(N_SCORES) < 0.5
    values = generator.normal(size=N_SPEAKERS)[speaker] + generator.normal(size=len(speaker)) + 0.2 * members

    start = time.perf_counter()
    draws = draw_speakers(speaker.astype(str), members, n_bootstraps, seed=0)
    replicates = bootstrap_auroc(values, members, draws)
    of_bootstrap = (time.perf_counter() - start) / n_bootstraps

    start = time.perf_counter()
    looped = loop_over_scikit_learn(values, members, speaker, n_of_loop, generator)
    of_loop = (time.perf_counter() - start) / n_of_loop
    yield faster(
        f"bootstrap of {N_SCORES:,} scores of {N_SPEAKERS} speakers",
        1000 * of_bootstrap,
        "scikit-learn loop",
        1000 * of_loop,
        unit="ms a replicate",
        device=name_of("cpu"),
        note=f"standard errors {standard_error(replicates):.5f} and {standard_error(looped):.5f}",
    )


def loop_over_scikit_learn(
    values: np.ndarray, members: np.ndarray, speaker: np.ndarray, n: int, generator: np.random.Generator
) -> np.ndarray:
    """Replicates of the AUROC, (n,)."""
    clips = [np.flatnonzero(speaker == one) for one in np.unique(speaker)]
    replicates = []
    for _ in range(n):
        drawn = np.concatenate([clips[one] for one in generator.integers(len(clips), size=len(clips))])
        replicates.append(roc_auc_score(members[drawn], values[drawn]))
    return np.array(replicates)
