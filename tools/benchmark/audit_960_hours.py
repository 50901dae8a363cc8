"""Time an audit of LibriSpeech-960's size without its audio.

    OMP_NUM_THREADS=1 python -m tools.benchmark.audit_960_hours [--share 0.1]

Makes a table of 281,241 utterances of 2,338 speakers (LibriSpeech-960), draws a split with 16 shadow models, and
simulates signals with a small leak (pretext scores of the target, the controls and every shadow model). Then it runs
the part of `lightning-mia attack` that follows probing: blind baseline, likelihood attacks, p-values, intervals,
report. After every stage it prints processor seconds (reliable on a shared machine), wall seconds and peak memory of
the process. `--share 0.1` uses a tenth of the utterances and speakers; the seconds per utterance should not change.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_mia.attacks.base import ShadowModels

os.environ.setdefault("OMP_NUM_THREADS", "1")  # seconds of one core

import numpy as np
import pandas as pd

from lightning_mia.attacks import Attack
from lightning_mia.attacks.attack_r import AttackR
from lightning_mia.attacks.bavaria import BaVarIA
from lightning_mia.attacks.calibrated_loss import CalibratedLoss
from lightning_mia.attacks.lira import LiRA
from lightning_mia.attacks.loss import PretextLoss
from lightning_mia.attacks.rmia import RMIA
from lightning_mia.attacks.scalar_signals.base import PretextScore
from lightning_mia.audit.blind_baselines import blind_baselines
from lightning_mia.audit.breakdown import add_breakdown
from lightning_mia.audit.outcome import AuditOutcome, evaluate_attacks
from lightning_mia.audit.probed_model import ProbedModel
from lightning_mia.audit.provenance import summarise_split
from lightning_mia.audit.shadow_models.trained import TrainedShadowModels
from lightning_mia.evaluation import EvaluationSettings
from lightning_mia.models.outputs import PRETEXT_SCORE
from lightning_mia.report.audit_report import AuditReport, Target
from lightning_mia.report.write import write_report
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Split, UtteranceDesign

N_UTTERANCES, N_SPEAKERS = 281_241, 2_338
N_SHADOWS = 16
N_AUXILIARY = 2_000
LEAK = 0.2  # effect of training on a score, in standard deviations of the noise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="fraction of the utterances and speakers")
    share = parser.parse_args().share
    n_utterances, n_speakers = round(share * N_UTTERANCES), round(share * N_SPEAKERS)
    print(f"{n_utterances:,} utterances of {n_speakers:,} speakers, {N_SHADOWS} shadow models")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = np.random.default_rng(0)
        table = corpus_table(n_utterances, n_speakers, rng)
        with stage("corpus table, imports"):
            statistics = blind_statistics(table, rng)
        with stage("split drawn, written and read"):
            split = draw(table, folder / "split.csv")
        with stage("signals simulated"):
            target, controls, shadows = simulate_models(split, rng, folder)
        with stage("attacks and evaluation"):
            outcome = evaluate_attacks(
                attacks(),
                {"target": target, **controls},
                blind_baselines({"acoustics": statistics}, split, EvaluationSettings()),
                split,
                EvaluationSettings(),
                shadows,
                take_turns=False,
            )
        with stage("report"):
            write(outcome, split, folder / "report")


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time a stage and print the result."""
    wall_start, processor_start = time.monotonic(), time.process_time()
    yield
    processor, wall = time.process_time() - processor_start, time.monotonic() - wall_start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{name:28s} {processor:7.1f} s processor {wall:7.1f} s wall   peak {peak:.2f} GB", flush=True)


def corpus_table(n_utterances: int, n_speakers: int, rng: np.random.Generator) -> pd.DataFrame:
    """Make a table of utterances of 1 to 25 s."""
    speakers = np.sort(rng.integers(n_speakers, size=n_utterances))
    ids = [f"{speaker:05d}/{number:06d}" for number, speaker in enumerate(speakers)]
    return pd.DataFrame(
        {
            "id": ids,
            "path": [f"{recording}.flac" for recording in ids],
            "speaker": [f"{speaker:05d}" for speaker in speakers],
            "duration": rng.uniform(1, 25, n_utterances),
        }
    )


def blind_statistics(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Simulate blind statistics; only the duration is informative."""
    columns = {f"statistic_{number:02d}": rng.standard_normal(len(table)) for number in range(30)}
    return pd.DataFrame({"duration": table["duration"].to_numpy(), **columns}, index=table["id"])


def draw(table: pd.DataFrame, path: Path) -> Split:
    """Draw a split, write it and read it back."""
    design = UtteranceDesign(n_units=len(table) - N_AUXILIARY, n_auxiliary=N_AUXILIARY)
    design.draw(table, dict(zip(table["id"], table["id"], strict=True)), N_SHADOWS, seed=0).save(path)
    return Split.load(path)


def attacks() -> list[Attack]:
    score = PretextScore()
    online = [LiRA(score), RMIA(score), BaVarIA(score)]
    offline = [LiRA(score, online=False), RMIA(score, online=False), BaVarIA(score, online=False)]
    return [PretextLoss(), *online, *offline, AttackR(score), CalibratedLoss(score)]


def simulate_models(
    split: Split, rng: np.random.Generator, folder: Path
) -> tuple[ProbedModel, dict[str, ProbedModel], TrainedShadowModels]:
    """Simulate the target, the two controls and every shadow model."""
    ids = pd.Index(split.table["id"], dtype=object)
    difficulty = rng.standard_normal(len(ids))

    def simulate(members: np.ndarray | float, key: str) -> ProbedModel:
        scores = difficulty + LEAK * members + rng.standard_normal(len(ids))
        scalars = pd.DataFrame({f"{PRETEXT_SCORE}_mask0": scores}, index=ids)
        return ProbedModel(Signals(scalars, np.zeros((len(ids), 1, 1), dtype=np.float32)), None, key, folder)

    columns = {name: split.table[name].to_numpy() for name in ("target", *split.shadows)}
    target = simulate(columns["target"], "target")
    controls = {name: simulate(0.0, name) for name in ("untrained", "wrong_model")}
    probed = [simulate(columns[name], name) for name in split.shadows]
    members = split.table.set_index("id")[split.shadows].loc[split.challenge("utterance")["id"]]
    return target, controls, TrainedShadowModels(ShadowModels([model.signals for model in probed], members), probed)


def write(outcome: AuditOutcome, split: Split, folder: Path) -> None:
    """Write the report and print its verdict."""
    report = AuditReport(
        target=Target("simulated", "0" * 64, 0),
        split=summarise_split(split),
        verdict=outcome.verdict,
        attacks=outcome.attacks,
        controls=outcome.controls,
        scores=outcome.scores,
        blind_upper95=dict(outcome.blind_upper95),
        dataset_inference=outcome.dataset_inference,
    )
    page = write_report(folder, add_breakdown(report))
    best = max(outcome.attacks, key=lambda result: result.auroc)
    print(f"{outcome.verdict.status}; {best.name} AUROC {best.auroc:.3f}; page of {page.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
