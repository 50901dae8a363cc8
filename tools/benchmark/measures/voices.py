"""Seconds of speech that are synthesised per second, with room, noise and writing, without imports."""

import tempfile
import time
from collections.abc import Iterator

from lightning_mia.corpora.synthetic.voices import SyntheticVoices
from tools.benchmark.devices import name_of
from tools.benchmark.rows import Row

N_SPEAKERS = 20


def measure(quick: bool) -> Iterator[Row]:
    """Speech synthesised per second and per second of processor time; milliseconds where all of it is cached."""
    device = name_of("cpu")
    with tempfile.TemporaryDirectory() as folder:
        SyntheticVoices(1, 1, seed=1, cache_dir=folder).table()  # imports, and finds the library
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
