"""All attacks that learn from shadow models, on many units: CPU seconds of each, from signals to scores.

    python tools/benchmark_learned_attacks.py

Signals are drawn, with a leak in a few of them, and lie in memory; what is timed is an attack's `score`. Attacks that
are about speakers get as many speakers as there are units, of `--clips` recordings each, unless told otherwise.
"""

import argparse
import os
import resource
import time
from collections.abc import Sequence

os.environ.setdefault("OMP_NUM_THREADS", "1")  # seconds of one core

import numpy as np
import pandas as pd

from lightning_mia.attacks import SLMIA, Attack, ShadowClassifier, ShadowClassifierTree, UserStatistics
from lightning_mia.attacks.base import Evidence
from lightning_mia.attacks.encodermi import EncoderMIS, EncoderMIV
from lightning_mia.attacks.partcrop import PartCrop
from lightning_mia.attacks.shadows import Shadows
from lightning_mia.evaluation.auroc import auroc_of_labels
from lightning_mia.probe.signals import Signals

AUXILIARY_SPEAKERS = 20
DIM = 16


def columns() -> list[str]:
    """Those of views and crops as they are asked by default."""
    views = [f"views_pair{pair:02d}" for pair in range(45)]
    return [*views, *(f"crops_{kind}_{place:02d}" for kind in ("uniform", "gaussian") for place in range(16))]


def planted(n_units: int, n_shadows: int, clips: int, leak: float) -> tuple[Evidence, np.ndarray]:
    """Every third signal of a member is `leak` higher, and so is every third number of its pooled vector."""
    rng = np.random.default_rng(0)
    names, everything = columns(), 1 + DIM
    units = np.repeat([f"s{unit:06d}" for unit in range(n_units)], clips)
    others = np.repeat([f"a{unit:03d}" for unit in range(AUXILIARY_SPEAKERS)], 5)
    speakers = np.concatenate([units, others])
    ids = [f"{speaker}/{place}" for place, speaker in enumerate(speakers.tolist())]
    half = rng.random((n_shadows // 2, n_units)) < 0.5
    members = np.stack([half, ~half], axis=1).reshape(n_shadows, n_units)
    target = rng.random(n_units) < 0.5
    difficulty = rng.standard_normal((len(ids), everything), dtype=np.float32)

    def answers(inside: np.ndarray) -> Signals:
        is_in = np.append(np.repeat(inside, clips), np.zeros(len(others), dtype=bool))[:, None]
        values = difficulty + rng.standard_normal(difficulty.shape, dtype=np.float32)
        values[:, ::3] += leak * is_in
        scalars = rng.standard_normal((len(ids), len(names)), dtype=np.float32) + values[:, :1]
        table = pd.DataFrame(scalars.astype(np.float64), index=ids, columns=names)
        return Signals(table, values[:, None, 1:])

    judged = pd.DataFrame({"id": ids[: len(units)], "unit_id": units, "speaker": units})
    auxiliary = pd.DataFrame({"id": ids[len(units) :], "speaker": others})
    of_recordings = pd.DataFrame(
        np.repeat(members.T, clips, axis=0), index=judged["id"], columns=[f"shadow_{k:03d}" for k in range(n_shadows)]
    )
    shadows = Shadows([answers(one) for one in members], of_recordings)
    return Evidence(answers(target), judged, auxiliary, shadows=shadows), target


def measure(attacks: Sequence[Attack], evidence: Evidence, members: np.ndarray) -> float:
    total = 0.0
    for attack in attacks:
        start = time.process_time()
        scores = attack.score(evidence)
        seconds = time.process_time() - start
        auroc = auroc_of_labels(scores.loc[evidence.challenge["unit_id"].unique()].to_numpy(), members[None])[0]
        print(f"{attack.name:34}  {len(scores):8}  {seconds:8.1f}  {auroc:.3f}", flush=True)
        total += seconds
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--speakers", type=int, default=10_000)
    parser.add_argument("--clips", type=int, default=10, help="recordings of a speaker")
    parser.add_argument("--shadows", type=int, default=16)
    parser.add_argument("--leak", type=float, default=0.5, help="in standard deviations of a model's noise")
    arguments = parser.parse_args()
    print("attack                                 units   seconds  AUROC")
    recordings, members = planted(arguments.units, arguments.shadows, 1, arguments.leak)
    of_recordings = [
        ShadowClassifier("black-box"),
        ShadowClassifierTree("black-box"),
        EncoderMIV(),
        EncoderMIS(),
        PartCrop(),
    ]
    total = measure(of_recordings, recordings, members)
    del recordings
    speakers, members = planted(arguments.speakers, arguments.shadows, arguments.clips, arguments.leak)
    total += measure([UserStatistics("black-box"), SLMIA()], speakers, members)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{'all':34}  {'':8}  {total:8.1f}         peak memory {peak:.1f} GiB")


if __name__ == "__main__":
    main()
