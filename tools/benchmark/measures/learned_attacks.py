"""Attacks that learn from shadow models, on 100,000 units.

Times the method `score` of each attack on simulated signals in memory, some of which leak. Speaker attacks get a tenth
as many units: speakers of ten recordings each.
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
from tools.benchmark.devices import device_name
from tools.benchmark.rows import Row

AUXILIARY_SPEAKERS = 20
DIM = 16
N_SHADOWS, CLIPS = 16, 10  # CLIPS: recordings per speaker
LEAK = 0.5  # in standard deviations of a model's noise
UNIT = "s of processor time"


def measure(quick: bool) -> Iterator[Row]:
    """Measure processor seconds per attack, and peak memory."""
    n_units, n_shadows = (300, 4) if quick else (100_000, N_SHADOWS)
    recordings, members = simulate(n_units, n_shadows, 1, LEAK)
    rows = list(score_rows(utterance_attacks(), recordings, members))
    del recordings
    speakers, members = simulate(n_units // CLIPS, n_shadows, CLIPS, LEAK)
    rows += score_rows([UserStatistics("black-box"), SLMIA()], speakers, members)
    yield from rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    total = sum(row.value for row in rows if row.value is not None)
    device = device_name("cpu")
    yield Row("all learned attacks", total, UNIT, device, note=f"{n_units:,} utterances × {n_shadows} shadow models")
    yield Row("peak memory of all learned attacks", peak, "GiB", device)


def utterance_attacks() -> list[Attack]:
    """List the attacks on utterances."""
    return [
        ShadowClassifier("black-box"),
        ShadowClassifierTree("black-box"),
        EncoderMIV(),
        EncoderMIS(),
        PartCrop(),
    ]


def score_rows(attacks: Sequence[Attack], evidence: Evidence, members: np.ndarray) -> Iterator[Row]:
    """Time each attack, one row per attack."""
    for attack in attacks:
        start = time.process_time()
        scores = attack.score(evidence)
        seconds = time.process_time() - start
        auroc = labelled_aurocs(scores.loc[evidence.challenge["unit_id"].unique()].to_numpy(), members[None])[0]
        note = f"{len(scores):,} units; AUROC {auroc:.3f}"
        yield Row(attack.name, seconds, UNIT, device_name("cpu"), note=note)


def columns() -> list[str]:
    """List the default signals of views and crops."""
    views = [f"views_pair{pair:02d}" for pair in range(45)]
    return [*views, *(f"crops_{kind}_{number:02d}" for kind in ("uniform", "gaussian") for number in range(16))]


def simulate(n_units: int, n_shadows: int, clips: int, leak: float) -> tuple[Evidence, np.ndarray]:
    """Simulate signals; `leak` raises every third value of members."""
    rng = np.random.default_rng(0)
    names, n_values = columns(), 1 + DIM
    units = np.repeat([f"s{unit:06d}" for unit in range(n_units)], clips)
    auxiliary_speakers = np.repeat([f"a{unit:03d}" for unit in range(AUXILIARY_SPEAKERS)], 5)
    speakers = np.concatenate([units, auxiliary_speakers])
    ids = [f"{speaker}/{number}" for number, speaker in enumerate(speakers.tolist())]
    half = rng.random((n_shadows // 2, n_units)) < 0.5
    members = np.stack([half, ~half], axis=1).reshape(n_shadows, n_units)
    target = rng.random(n_units) < 0.5
    difficulty = rng.standard_normal((len(ids), n_values), dtype=np.float32)

    def signals(members: np.ndarray) -> Signals:
        is_in = np.append(np.repeat(members, clips), np.zeros(len(auxiliary_speakers), dtype=bool))[:, None]
        values = difficulty + rng.standard_normal(difficulty.shape, dtype=np.float32)
        values[:, ::3] += leak * is_in
        scalars = rng.standard_normal((len(ids), len(names)), dtype=np.float32) + values[:, :1]
        table = pd.DataFrame(scalars.astype(np.float64), index=ids, columns=names)
        return Signals(table, values[:, None, 1:])

    challenge = pd.DataFrame({"id": ids[: len(units)], "unit_id": units, "speaker": units})
    auxiliary = pd.DataFrame({"id": ids[len(units) :], "speaker": auxiliary_speakers})
    trained_on = pd.DataFrame(
        np.repeat(members.T, clips, axis=0),
        index=challenge["id"],
        columns=[f"shadow_{k:03d}" for k in range(n_shadows)],
    )
    shadows = ShadowModels([signals(column) for column in members], trained_on)
    return Evidence(signals(target), challenge, auxiliary, shadows=shadows), target
