"""Print how many seconds of speech are synthesised per second, with room, noise and writing, without imports.

OMP_NUM_THREADS=1 python tools/benchmark_voices.py
"""

import argparse
import tempfile
import time

from lightning_mia.corpus.synthetic import SyntheticVoices


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n_speakers", type=int, default=20)
    parser.add_argument("--utterances_per_speaker", type=int, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        SyntheticVoices(1, 1, seed=1, cache_dir=folder).table()  # imports, and finds the library
        voices = SyntheticVoices(**vars(arguments), cache_dir=folder)
        start, start_cpu = time.perf_counter(), time.process_time()
        table = voices.table()
        wall, cpu = time.perf_counter() - start, time.process_time() - start_cpu
        start = time.perf_counter()
        voices.table()
        cached = time.perf_counter() - start
    speech = table["duration"].sum()
    print(f"{len(table)} utterances, {speech:.0f} s of speech, {speech / len(table):.2f} s each")
    print(f"{speech / wall:.0f} s of speech per second ({wall:.1f} s)")
    print(f"{speech / cpu:.0f} s of speech per second of processor time")
    print(f"{1000 * cached:.0f} ms when everything is cached")


if __name__ == "__main__":
    main()
