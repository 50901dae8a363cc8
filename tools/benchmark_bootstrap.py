"""Print how much faster a bootstrap of 100,000 scores is than a loop over scikit-learn's AUROC, from one run.

OMP_NUM_THREADS=1 python tools/benchmark_bootstrap.py

Both draw whole speakers. The loop gathers the clips of the speakers drawn and calls `roc_auc_score`; its time
is that of a few replicates, the bootstrap's that of all of them, the drawing and the sorting included.
"""

import argparse
import time

import numpy as np
from sklearn.metrics import roc_auc_score

from lightning_mia.evaluation.bootstrap import bootstrap_auroc, draw_speakers
from lightning_mia.evaluation.intervals import standard_error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n_scores", type=int, default=100_000)
    parser.add_argument("--n_speakers", type=int, default=500)
    parser.add_argument("--n_bootstraps", type=int, default=1000)
    parser.add_argument("--n_of_loop", type=int, default=50)
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    speaker = generator.integers(arguments.n_speakers, size=arguments.n_scores)
    members = generator.random(arguments.n_scores) < 0.5
    values = generator.normal(size=arguments.n_speakers)[speaker] + generator.normal(size=len(speaker)) + 0.2 * members

    start = time.perf_counter()
    draws = draw_speakers(speaker.astype(str), members, arguments.n_bootstraps, seed=0)
    replicates = bootstrap_auroc(values, members, draws)
    of_bootstrap = (time.perf_counter() - start) / arguments.n_bootstraps

    start = time.perf_counter()
    looped = loop_over_scikit_learn(values, members, speaker, arguments.n_of_loop, generator)
    of_loop = (time.perf_counter() - start) / arguments.n_of_loop

    print(f"{arguments.n_scores} scores of {arguments.n_speakers} speakers; milliseconds a replicate:")
    print(f"  bootstrap          {1000 * of_bootstrap:7.2f}   standard error {standard_error(replicates):.5f}")
    print(f"  scikit-learn loop  {1000 * of_loop:7.2f}   standard error {standard_error(looped):.5f}")
    print(f"  ratio              {of_loop / of_bootstrap:7.1f}")


def loop_over_scikit_learn(
    values: np.ndarray, members: np.ndarray, speaker: np.ndarray, n: int, generator: np.random.Generator
) -> np.ndarray:
    clips = [np.flatnonzero(speaker == one) for one in np.unique(speaker)]
    replicates = []
    for _ in range(n):
        drawn = np.concatenate([clips[one] for one in generator.integers(len(clips), size=len(clips))])
        replicates.append(roc_auc_score(members[drawn], values[drawn]))
    return np.array(replicates)


if __name__ == "__main__":
    main()
