"""Probe a trained model in float32 and under bf16 autocast: how much faster, and what it does to the AUROC.

OMP_NUM_THREADS=1 python tools/benchmark_bf16.py MANIFEST.csv RUN_DIR…

Every RUN_DIR is a finished audit at utterance level of that manifest. The judged recordings are asked again, in the
same batches and with the same masks, both ways in turn. (Audits always probe in float32.)
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lightning_mia.attacks import PretextLoss, UtteranceSimilarity
from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.corpus import Manifest
from lightning_mia.data.audio_cache import AudioCache, decode
from lightning_mia.data.recordings import ProbeRecordings, Recordings
from lightning_mia.evaluation.auroc import auroc
from lightning_mia.models.from_checkpoint import model_from_checkpoint
from lightning_mia.probe.module import Probe
from lightning_mia.probe.settings import ProbeSettings
from lightning_mia.probe.signals import Signals
from lightning_mia.split import Split

ATTACKS: list[Attack] = [PretextLoss(), UtteranceSimilarity()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest")
    parser.add_argument("run_dirs", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    audio = decode(Manifest(arguments.manifest).table())
    print(f"{'run':16} {'f32 s':>6} {'bf16 s':>6} {'ratio':>5}  attack: AUROC in float32, in bf16, difference")
    for run_dir in arguments.run_dirs:
        compare(run_dir, audio, arguments.repeats)


def compare(run_dir: Path, audio: AudioCache, repeats: int) -> None:
    probe = Probe(model_from_checkpoint(run_dir / "target" / "model.ckpt"), ProbeSettings()).eval()
    challenge = Split.load(run_dir / "split.csv").challenge("utterance")
    seconds: dict[bool, list[float]] = {False: [], True: []}
    signals: dict[bool, Signals] = {}
    for _ in range(repeats):
        for half in (False, True):
            start = time.perf_counter()
            signals[half] = ask(probe, audio, list(challenge["id"]), half)
            seconds[half].append(time.perf_counter() - start)
    full_s, half_s = np.median(seconds[False]), np.median(seconds[True])
    told = []
    for attack in ATTACKS:
        full, half = (auroc_of(attack, signals[way], challenge) for way in (False, True))
        told.append(f"{attack.name} {full:.4f} {half:.4f} {half - full:+.4f}")
    print(f"{run_dir.name:16} {full_s:6.2f} {half_s:6.2f} {full_s / half_s:5.2f}  {'; '.join(told)}", flush=True)


def ask(probe: Probe, audio: AudioCache, ids: list[str], half: bool) -> Signals:
    batches = ProbeRecordings(Recordings(audio, ids), batch_seconds=60.0).predict_dataloader()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        return Signals.concatenate(probe.predict_step(batch, 0) for batch in batches)


def auroc_of(attack: Attack, signals: Signals, challenge: pd.DataFrame) -> float:
    scores = attack.score(Evidence(signals, challenge.drop(columns="member")))
    members = challenge.set_index("unit_id")["member"]
    return auroc(scores.loc[members.index].to_numpy(float), members.to_numpy(bool))


if __name__ == "__main__":
    main()
