"""Peak memory of decoding, training and probing, by corpus size.

Each stage runs in a separate process, on corpora that grow by a factor of four. Resident memory includes pages of the
decoded audio, a mapped file, which the system reclaims when needed; anonymous memory excludes them.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.benchmark.corpora import write_clips
from tools.benchmark.devices import device_name
from tools.benchmark.rows import Curve, Point, Row

CURVES = [
    Curve("resident", "recordings", "peak resident memory (MiB)"),
    Curve("own", "recordings", "peak anonymous memory (MiB)"),
]
STAGES = ("decode", "train", "probe")
SECONDS = 2.0  # per recording


def measure(quick: bool) -> Iterator[Row]:
    """Measure MiB by number of recordings."""
    smallest = 20 if quick else 500
    for factor in (1, 4) if quick else (1, 4, 16):
        with tempfile.TemporaryDirectory() as name:
            clips = write_clips(Path(name), factor * smallest, SECONDS)
            for stage in STAGES:
                yield from _rows(stage, clips, factor * smallest)


def _rows(stage: str, clips: Path, n_clips: int) -> Iterator[Row]:
    command = [sys.executable, "-m", "tools.benchmark.peak_memory", stage, str(clips)]
    peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    audio = f"{n_clips * SECONDS * 32_000 / 2**20:.0f} MiB of decoded audio"
    for kind, label in (("resident", "peak resident memory"), ("own", "peak anonymous memory")):
        point = Point(kind, stage, n_clips)
        what = f"{label}: {stage}, {n_clips:,} recordings"
        yield Row(what, peak[kind], "MiB", device_name("cpu"), note=audio, point=point)
