"""Default audit of a checkpoint of base size on 200 clips, and on untrained models: half a day on one core.

The checkpoints of `checkpoint`, with 160 candidates and 40 auxiliary clips.
"""

from collections.abc import Iterator

from tools.benchmark.measures.checkpoint import audits
from tools.benchmark.rows import Row


def measure(quick: bool) -> Iterator[Row]:
    """Measure processor seconds per audio second, and peak memory."""
    return audits(16 if quick else 200, 3 if quick else 40, controls=(False, True))
