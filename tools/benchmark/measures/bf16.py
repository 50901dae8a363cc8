"""Probe of a trained model in float32 and under bf16 autocast: how much faster, and what it does to the AUROC.

The demo's model is trained, and its challenge set asked both ways in turn, in the same batches and with the same masks.
(Audits always probe in float32.)
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
from tools.benchmark.devices import devices, name_of
from tools.benchmark.fleets import options_for
from tools.benchmark.processes import run
from tools.benchmark.rows import Row, faster

ATTACKS: list[Attack] = [PretextLoss(), UtteranceSimilarity()]


def measure(quick: bool) -> Iterator[Row]:
    """Seconds of a probe in float32, and in bf16; AUROC of two attacks either way."""
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("fit", folder, options_for("cpu", 2 if quick else None))
        audio = decode(SyntheticVoices(20, 15, seed=0).table(), progress=False)  # the demo's
        probe = Probe(
            model_from_checkpoint(folder / "target" / "model.ckpt"), ProbeSettings().encoder_outputs.measure
        ).eval()
        challenge = Split.load(folder / "split.csv").challenge("utterance")
        if quick:
            challenge = challenge.groupby("member").head(15)
        for device in devices():
            yield compare(probe.to(device), audio, challenge, device, 1 if quick else 3)


def compare(probe: Probe, audio: AudioCache, challenge: pd.DataFrame, device: str, repeats: int) -> Row:
    """Both ways in turn."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    signals: dict[bool, Signals] = {}
    for _ in range(repeats):
        for half in (False, True):
            start = time.perf_counter()  # signals come back to the processor, so that nothing is left to do at the end
            signals[half] = ask(probe, audio, list(challenge["id"]), device, half)
            seconds[half].append(time.perf_counter() - start)
    told = []
    for attack in ATTACKS:
        full, halved = (auroc_of(attack, signals[half], challenge) for half in (False, True))
        told.append(f"{attack.name} AUROC {full:.4f} in float32, {halved:.4f} in bf16")
    full_s, half_s = (float(np.median(seconds[half])) for half in (False, True))
    what = "bf16 probe of the demo's MelHuBERT"
    return faster(what, half_s, "float32", full_s, device=name_of(device), note="; ".join(told))


def ask(probe: Probe, audio: AudioCache, ids: list[str], device: str, half: bool) -> Signals:
    """Signals of some recordings."""
    batches = ProbeRecordings(Recordings(audio, ids), batch_seconds=60.0).predict_dataloader()
    there = torch.device(device)
    with torch.inference_mode(), torch.autocast(device, dtype=torch.bfloat16, enabled=half):
        return Signals.concatenate([probe.predict_step(move_data_to_device(batch, there), 0) for batch in batches])


def auroc_of(attack: Attack, signals: Signals, challenge: pd.DataFrame) -> float:
    """AUROC of an attack on these signals."""
    scores = attack.score(Evidence(signals, challenge.drop(columns="member")))
    members = challenge.set_index("unit_id")["member"]
    return auroc(scores.loc[members.index].to_numpy(float), members.to_numpy(bool))
