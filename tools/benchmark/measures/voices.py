"""Synthesis of speech, with room, noise and writing."""

import tempfile
import time
from collections.abc import Iterator

from lightning_mia.corpora.synthetic.voices import SyntheticVoices
from tools.benchmark.devices import device_name
from tools.benchmark.rows import Row

N_SPEAKERS = 20


def measure(quick: bool) -> Iterator[Row]:
    """Measure throughput, and milliseconds with a full cache."""
    device = device_name("cpu")
    with tempfile.TemporaryDirectory() as folder:
        SyntheticVoices(1, 1, seed=1, cache_dir=folder).table()  # loads imports and library outside the timing
        voices = SyntheticVoices(N_SPEAKERS, 5 if quick else 40, cache_dir=folder)
        start, start_cpu = time.perf_counter(), time.process_time()
        table = voices.table()
        wall, processor = time.perf_counter() - start, time.process_time() - start_cpu
        start = time.perf_counter()
        voices.table()
        cached = time.perf_counter() - start
    speech = float(table["duration"].sum())
    size = f"{len(table)} utterances, {speech / len(table):.2f} s each"
    yield Row("speech synthesised", speech / wall, "audio s/s", device, note=size)
    yield Row("speech synthesised, by processor time", speech / processor, "audio s/s", device)
    yield Row("table of cached voices", 1000 * cached, "ms", device, note=f"{len(table)} utterances")
