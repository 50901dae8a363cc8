"""Default audit of a checkpoint of base size against transformers' bare extraction.

A HuBERT without heads and a wav2vec 2.0 with the heads of its pretraining, 95M parameters each with random weights,
saved by transformers. The same clips are encoded one by one by transformers, and audited with the default attacks on a
user-supplied split, each in a separate process on one thread: 20 candidates and 40 auxiliary clips, the fewest with
which relearning runs. Cost per clip falls with their number: learning rates are tried on four minutes of audio.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from tools.benchmark.corpora import write_clips
from tools.benchmark.devices import device_name
from tools.benchmark.processes import REPOSITORY
from tools.benchmark.rows import Row, relative

CLIP_SECONDS = 10.0
MODELS = ("HubertModel", "Wav2Vec2ForPreTraining")
"""Classes of transformers."""
SAVE = """
import sys, torch, transformers
torch.manual_seed(0)
model_class = getattr(transformers, sys.argv[1])
model_class(model_class.config_class()).save_pretrained(sys.argv[2])
transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(sys.argv[2])
print("{}")
"""
EXTRACT = """
import json, pathlib, sys, time, soundfile, torch, transformers
torch.set_num_threads(1)
model = transformers.AutoModel.from_pretrained(sys.argv[1]).eval()
extractor = transformers.AutoFeatureExtractor.from_pretrained(sys.argv[1])
start = time.process_time()
with torch.inference_mode():
    for path in sorted(pathlib.Path(sys.argv[2]).glob("*.flac")):
        waveform = soundfile.read(path, dtype="float32")[0]
        model(**extractor(waveform, sampling_rate=16_000, return_tensors="pt"), output_hidden_states=True)
print(json.dumps({"seconds": time.process_time() - start}))
"""
AUDIT = """
import json, sys, time
from lightning_mia.audit.cli import main
from tools.benchmark.peak_memory import MemoryMonitor, mebibytes
with MemoryMonitor() as monitor:
    status = main(sys.argv[1:])
memory = {"resident": mebibytes("VmHWM"), "own": monitor.own}
print(json.dumps({"seconds": time.process_time(), "status": status, **memory}))
"""


def measure(quick: bool) -> Iterator[Row]:
    """Measure processor seconds per audio second, and peak memory."""
    return audits(16 if quick else 60, 3 if quick else 40, controls=(False,))


def audits(n_clips: int, n_auxiliary: int, controls: tuple[bool, ...]) -> Iterator[Row]:
    """Audit both checkpoints, with or without untrained controls."""
    with tempfile.TemporaryDirectory() as name:
        manifest = write_split(Path(name), n_clips, n_auxiliary)
        for model in MODELS:
            checkpoint = Path(name) / model
            _run(SAVE, model, str(checkpoint))
            extraction = _run(EXTRACT, str(checkpoint), name)["seconds"]
            for control in controls:
                audit = _audit(checkpoint, manifest, control)
                yield from _rows(model, control, audit, extraction, n_clips, n_auxiliary)


def write_split(folder: Path, n_clips: int, n_auxiliary: int) -> Path:
    """Write clips of ten speakers; the last ones are auxiliary, the others are members and non-members in turn."""
    clips = write_clips(folder, n_clips, CLIP_SECONDS)
    table = pd.read_csv(clips, dtype=str)
    n_candidates = n_clips - n_auxiliary
    table["speaker"] = [f"s{row // 2 % 10}" for row in range(n_clips)]
    table["member"] = [str(row % 2) if row < n_candidates else "" for row in range(n_clips)]
    table.to_csv(clips, index=False)
    return clips


def _audit(checkpoint: Path, manifest: Path, control: bool) -> dict[str, float]:
    run_dir = checkpoint.with_name(f"{checkpoint.name}_{control}")
    options = ["attack", "-c", "configs/attack/checkpoint.yaml", "--model.checkpoint", str(checkpoint)]
    options += ["--data.corpus.path", str(manifest), "--run_dir", str(run_dir)]
    options += ["--data.cache_dir", str(run_dir / "cache"), "--controls.untrained", str(control).lower()]
    options += ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    audit = _run(AUDIT, *options)
    if audit["status"]:
        raise RuntimeError(f"the audit of {checkpoint.name} ended with status {audit['status']:g}")
    return audit


def _rows(
    model: str, control: bool, audit: dict[str, float], extraction: float, n_clips: int, n_auxiliary: int
) -> Iterator[Row]:
    what = f"default attacks on {model} of base size{', and on an untrained one' if control else ''}"
    audio, device = n_clips * CLIP_SECONDS, device_name("cpu")
    yield relative(
        what,
        audit["seconds"] / audio,
        "transformers, hidden states alone",
        extraction / audio,
        device=device,
        unit="s of processor time per audio second",
        note=f"{n_clips} clips of {CLIP_SECONDS:g} s, {n_auxiliary} of them auxiliary",
    )
    own = f"{audit['own'] / 1024:.2f} GiB are not pages of files, such as the checkpoint"
    yield Row(f"peak memory of the {what}", audit["resident"] / 1024, "GiB", device, note=own)


def _run(code: str, *arguments: str) -> dict[str, float]:
    """Run a script in a process of its own; return the JSON of its last line."""
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    figures: dict[str, float] = json.loads(process.stdout.splitlines()[-1])
    return figures
