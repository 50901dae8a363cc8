"""An audit of LibriSpeech-960's size without its audio: split, likelihood attacks, evaluation and report.

Runs `tools.benchmark.audit_of_960_hours` on all of the 281,241 utterances of 2,338 speakers, and on a tenth of them.
"""

import re
import subprocess
import sys
from collections.abc import Iterator

from tools.benchmark.devices import name_of
from tools.benchmark.rows import Curve, Point, Row

SCRIPT = "tools.benchmark.audit_of_960_hours"
CURVES = [
    Curve("seconds", "utterances", "processor seconds of a stage"),
    Curve("memory", "utterances", "peak memory of the process so far (GB)"),
]
STAGE = re.compile(r"^(?P<stage>\S.*?)\s{2,}(?P<seconds>[\d.]+) s processor .*?peak\s+(?P<peak>[\d.]+) GB")
SIZE = re.compile(r"^(?P<utterances>[\d,]+) utterances of ")


def measure(quick: bool) -> Iterator[Row]:
    """Processor seconds of every stage, and the peak memory after it."""
    for share in (0.02, 0.05) if quick else (0.1, 1.0):
        command = [sys.executable, "-m", SCRIPT, "--share", str(share)]
        yield from parse(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def parse(text: str) -> Iterator[Row]:
    """Rows from what the script prints.

    Raises:
        ValueError: it prints something else.
    """
    lines = text.splitlines()
    sizes = [found for line in lines if (found := SIZE.match(line))]
    stages = [found for line in lines if (found := STAGE.match(line))]
    if len(sizes) != 1 or not stages:
        raise ValueError(f"{SCRIPT} prints no table of stages any more: {text[:200]!r}")
    n_utterances, device = int(sizes[0]["utterances"].replace(",", "")), name_of("cpu")
    verdict = " ".join(line for line in lines if "AUROC" in line)
    for found in stages:
        what, seconds = f"{found['stage']}, {n_utterances:,} utterances", float(found["seconds"])
        note = f"peak memory {found['peak']} GB" + (f"; {verdict}" if found is stages[-1] and verdict else "")
        yield Row(what, seconds, "s", device, note=note, point=Point("seconds", found["stage"], n_utterances))
    peak, point = float(stages[-1]["peak"]), Point("memory", "whole audit", n_utterances)
    yield Row(f"peak memory, {n_utterances:,} utterances", peak, "GB", device, point=point)
