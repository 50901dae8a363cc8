"""Probe in bf16 autocast against float32: speed and AUROC.

Trains the model of the demo and probes its challenge set alternately in both precisions, in the same batches and with
the same masks. (Audits always probe in float32.)
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lightning.fabric.utilities import move_data_to_device

from lightning_mia.attacks import PretextLoss, UtteranceSimilarity
from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.corpora import SyntheticVoices
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.evaluation.statistics.auroc import auroc
from lightning_mia.models.checkpoint import model_from_checkpoint
from lightning_mia.signals.runner.module import Probe, ProbeRecordings
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Split
from tools.benchmark.devices import device_name, devices
from tools.benchmark.fleets import options_for
from tools.benchmark.processes import run
from tools.benchmark.rows import Row, faster

ATTACKS: list[Attack] = [PretextLoss(), UtteranceSimilarity()]


def measure(quick: bool) -> Iterator[Row]:
    """Measure seconds of a probe and AUROC of two attacks."""
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("fit", folder, options_for("cpu", 2 if quick else None))
        audio = decode(SyntheticVoices(20, 15, seed=0).table(), progress=False)  # as in the demo
        probe = Probe(
            model_from_checkpoint(folder / "target" / "model.ckpt"), ProbeSettings().encoder_outputs.measure
        ).eval()
        challenge = Split.load(folder / "split.csv").challenge("utterance")
        if quick:
            challenge = challenge.groupby("member").head(15)
        for device in devices():
            yield compare(probe.to(device), audio, challenge, device, 1 if quick else 3)


def compare(probe: Probe, audio: AudioCache, challenge: pd.DataFrame, device: str, repeats: int) -> Row:
    """Probe alternately in both precisions."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    signals: dict[bool, Signals] = {}
    for _ in range(repeats):
        for half in (False, True):
            start = time.perf_counter()  # the GPU needs no wait: signals end up on the CPU
            signals[half] = compute_signals(probe, audio, list(challenge["id"]), device, half)
            seconds[half].append(time.perf_counter() - start)
    aurocs = []
    for attack in ATTACKS:
        full, halved = (compute_auroc(attack, signals[half], challenge) for half in (False, True))
        aurocs.append(f"{attack.name} AUROC {full:.4f} in float32, {halved:.4f} in bf16")
    full_s, half_s = (float(np.median(seconds[half])) for half in (False, True))
    what = "bf16 probe of the demo's MelHuBERT"
    return faster(what, half_s, "float32", full_s, device=device_name(device), note="; ".join(aurocs))


def compute_signals(probe: Probe, audio: AudioCache, ids: list[str], device: str, half: bool) -> Signals:
    """Compute the signals of some recordings."""
    batches = ProbeRecordings(Recordings(audio, ids), batch_seconds=60.0).predict_dataloader()
    target = torch.device(device)
    with torch.inference_mode(), torch.autocast(device, dtype=torch.bfloat16, enabled=half):
        return Signals.concatenate([probe.predict_step(move_data_to_device(batch, target), 0) for batch in batches])


def compute_auroc(attack: Attack, signals: Signals, challenge: pd.DataFrame) -> float:
    """Compute the AUROC of an attack."""
    scores = attack.score(Evidence(signals, challenge.drop(columns="member")))
    members = challenge.set_index("unit_id")["member"]
    return auroc(scores.loc[members.index].to_numpy(float), members.to_numpy(bool))
