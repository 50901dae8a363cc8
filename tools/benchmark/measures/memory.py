"""Peak memory against the size of the corpus: decoding, training for an epoch, and probing.

Each runs in a separate process, on corpora of which each is four times as large as the one before. Pages of the
decoded audio, a mapped file, count as resident, though the system takes them back whenever it needs them; anonymous
memory, which no file backs, is listed separately.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.benchmark.corpora import write_clips
from tools.benchmark.devices import name_of
from tools.benchmark.rows import Curve, Point, Row

CURVES = [
    Curve("resident", "recordings", "peak resident memory (MiB)"),
    Curve("own", "recordings", "peak anonymous memory (MiB)"),
]
STAGES = ("decode", "train", "probe")
SECONDS = 2.0  # of a recording


def measure(quick: bool) -> Iterator[Row]:
    """MiB, by the number of recordings."""
    smallest = 20 if quick else 500
    for factor in (1, 4) if quick else (1, 4, 16):
        with tempfile.TemporaryDirectory() as name:
            clips = write_clips(Path(name), factor * smallest, SECONDS)
            for stage in STAGES:
                yield from _of_stage(stage, clips, factor * smallest)


def _of_stage(stage: str, clips: Path, n_clips: int) -> Iterator[Row]:
    command = [sys.executable, "-m", "tools.benchmark.peak_memory", stage, str(clips)]
    peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    audio = f"{n_clips * SECONDS * 32_000 / 2**20:.0f} MiB of decoded audio"
    for kind, words in (("resident", "peak resident"), ("own", "peak anonymous")):
        point = Point(kind, stage, n_clips)
        what = f"{words}: {stage}, {n_clips:,} recordings"
        yield Row(what, peak[kind], "MiB", name_of("cpu"), note=audio, point=point)
