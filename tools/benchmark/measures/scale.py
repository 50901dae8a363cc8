"""Audit of LibriSpeech-960's size, without its audio.

Runs `tools.benchmark.audit_960_hours` (split, likelihood attacks, evaluation, report) on all 281,241 utterances of
2,338 speakers, and on a tenth of them.
"""

import re
import subprocess
import sys
from collections.abc import Iterator

from tools.benchmark.devices import device_name
from tools.benchmark.rows import Curve, Point, Row

SCRIPT = "tools.benchmark.audit_960_hours"
CURVES = [
    Curve("seconds", "utterances", "processor seconds of a stage"),
    Curve("memory", "utterances", "peak memory of the process so far (GB)"),
]
STAGE = re.compile(r"^(?P<stage>\S.*?)\s{2,}(?P<seconds>[\d.]+) s processor .*?peak\s+(?P<peak>[\d.]+) GB")
SIZE = re.compile(r"^(?P<utterances>[\d,]+) utterances of ")


def measure(quick: bool) -> Iterator[Row]:
    """Measure processor seconds and peak memory of every stage."""
    for share in (0.02, 0.05) if quick else (0.1, 1.0):
        command = [sys.executable, "-m", SCRIPT, "--share", str(share)]
        yield from parse(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def parse(text: str) -> Iterator[Row]:
    """Parse the output of the script.

    Raises:
        ValueError: the output has another format.
    """
    lines = text.splitlines()
    sizes = [match for line in lines if (match := SIZE.match(line))]
    stages = [match for line in lines if (match := STAGE.match(line))]
    if len(sizes) != 1 or not stages:
        raise ValueError(f"{SCRIPT} printed no table of stages: {text[:200]!r}")
    n_utterances, device = int(sizes[0]["utterances"].replace(",", "")), device_name("cpu")
    verdict = " ".join(line for line in lines if "AUROC" in line)
    for stage in stages:
        what, seconds = f"{stage['stage']}, {n_utterances:,} utterances", float(stage["seconds"])
        note = f"peak memory {stage['peak']} GB" + (f"; {verdict}" if stage is stages[-1] and verdict else "")
        yield Row(what, seconds, "s", device, note=note, point=Point("seconds", stage["stage"], n_utterances))
    peak, point = float(stages[-1]["peak"]), Point("memory", "whole audit", n_utterances)
    yield Row(f"peak memory, {n_utterances:,} utterances", peak, "GB", device, point=point)
