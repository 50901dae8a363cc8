"""Time `lightning-mia split` on a corpus of LibriSpeech-960's size, without its audio.

    OMP_NUM_THREADS=1 python -m tools.benchmark.split_960_hours [--share 0.1]

Makes a manifest of 281,241 utterances of 2,338 speakers with transcripts, made-up lengths and hashes, and runs what
the command does besides reading every audio file once: read the manifest, draw the split, write the lists of a target
and 4 shadow models in all formats. Prints processor seconds (reliable on a shared machine) of every stage.
`--share 0.1` uses a tenth of the utterances; the seconds per utterance should not change.
"""

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # seconds of one core

import numpy as np
import pandas as pd

from lightning_mia.corpora import Manifest
from lightning_mia.splits import UtteranceDesign
from lightning_mia.splits.drawn_folder.drawn import DrawnFolder, save_drawn
from lightning_mia.splits.drawn_folder.list_formats import FORMATS

N_UTTERANCES, N_SPEAKERS, N_WORDS = 281_241, 2_338, 33
DESIGN = UtteranceDesign(n_units=2000, n_auxiliary=500, background="rest")


def write_manifest(path: Path, n_utterances: int) -> None:
    rng = np.random.default_rng(0)
    speakers = rng.integers(N_SPEAKERS, size=n_utterances)
    words = np.array([f"word{number}" for number in range(20_000)])
    ids = [f"{speaker}-{number // 50}-{number:06d}" for number, speaker in enumerate(speakers)]
    table = pd.DataFrame({"id": ids, "speaker": speakers})
    table["path"] = [f"/speech/{speaker}/{name}.flac" for speaker, name in zip(speakers, ids, strict=True)]
    table["text"] = [" ".join(words[rng.integers(len(words), size=N_WORDS)]) for _ in ids]
    table.to_csv(path, index=False)


def made_up_audio(ids: list[str]) -> pd.DataFrame:
    n_samples = np.random.default_rng(1).integers(16_000, 500_000, len(ids))
    facts = {"n_samples": n_samples, "source_rate": 16_000, "duration": n_samples / 16_000}
    return pd.DataFrame(facts | {"sha256": [hashlib.sha256(name.encode()).hexdigest() for name in ids]}, index=ids)


@contextmanager
def timed(stage: str, seconds: dict[str, float]) -> Iterator[None]:
    start = time.process_time()
    yield
    seconds[stage] = time.process_time() - start
    print(f"{stage:<20} {seconds[stage]:6.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--share", type=float, default=1.0, help="share of the utterances")
    n_utterances = round(N_UTTERANCES * parser.parse_args().share)
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "S"
        write_manifest(Path(name) / "manifest.csv", n_utterances)
        with timed("read the manifest", seconds):
            table = Manifest(str(Path(name) / "manifest.csv")).table()
        audio = made_up_audio(table["id"].to_list())
        with timed("draw the split", seconds):
            contents = dict(zip(table["id"].to_list(), audio["sha256"].to_list(), strict=True))
            split = DESIGN.draw(table, contents, n_shadows=4)
        with timed("write the lists", seconds):
            save_drawn(folder, split, table, audio, DESIGN, 0, FORMATS)
        print(f"{n_utterances:,} utterances: {sum(seconds.values()):.1f} s of one core", flush=True)
        print(f"{sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e9:.2f} GB", flush=True)
        with timed("load the folder", seconds):
            DrawnFolder.load(folder)


if __name__ == "__main__":
    main()
