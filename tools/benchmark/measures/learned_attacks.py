"""All attacks that learn from shadow models, on 100,000 units: processor seconds of each, from signals to scores.

Signals are drawn, with a leak in a few of them, and lie in memory; what is timed is an attack's `score`. Attacks that
are about speakers get a tenth as many speakers, of ten recordings each.
"""

import resource
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from lightning_mia.attacks import SLMIA, Attack, ShadowClassifier, ShadowClassifierTree, UserStatistics
from lightning_mia.attacks.base import Evidence, ShadowModels
from lightning_mia.attacks.encodermi import EncoderMIS, EncoderMIV
from lightning_mia.attacks.partcrop import PartCrop
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.signals.table import Signals
from tools.benchmark.devices import name_of
from tools.benchmark.rows import Row

AUXILIARY_SPEAKERS = 20
DIM = 16
N_SHADOWS, CLIPS = 16, 10  # recordings of a speaker
LEAK = 0.5  # in standard deviations of a model's noise
UNIT = "s of processor time"


def measure(quick: bool) -> Iterator[Row]:
    """Processor seconds of each attack, of all together, and the peak of memory."""
    n_units, n_shadows = (300, 4) if quick else (100_000, N_SHADOWS)
    recordings, members = planted(n_units, n_shadows, 1, LEAK)
    rows = list(scored(of_utterances(), recordings, members))
    del recordings
    speakers, members = planted(n_units // CLIPS, n_shadows, CLIPS, LEAK)
    rows += scored([UserStatistics("black-box"), SLMIA()], speakers, members)
    yield from rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    total = sum(row.value for row in rows if row.value is not None)
    device = name_of("cpu")
    yield Row("all learned attacks", total, UNIT, device, note=f"{n_units:,} utterances × {n_shadows} shadow models")
    yield Row("peak memory of all learned attacks", peak, "GiB", device)


def of_utterances() -> list[Attack]:
    """Attacks on recordings."""
    return [
        ShadowClassifier("black-box"),
        ShadowClassifierTree("black-box"),
        EncoderMIV(),
        EncoderMIS(),
        PartCrop(),
    ]


def scored(attacks: Sequence[Attack], evidence: Evidence, members: np.ndarray) -> Iterator[Row]:
    """One row an attack."""
    for attack in attacks:
        start = time.process_time()
        scores = attack.score(evidence)
        seconds = time.process_time() - start
        auroc = labelled_aurocs(scores.loc[evidence.challenge["unit_id"].unique()].to_numpy(), members[None])[0]
        note = f"{len(scores):,} units; AUROC {auroc:.3f}"
        yield Row(attack.name, seconds, UNIT, name_of("cpu"), note=note)


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
    shadows = ShadowModels([answers(one) for one in members], of_recordings)
    return Evidence(answers(target), judged, auxiliary, shadows=shadows), target
