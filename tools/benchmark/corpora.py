"""Clips of synthetic speech for benchmarks."""

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from lightning_mia.corpora import SyntheticVoices
from lightning_mia.corpora.audio import SAMPLE_RATE


def speech() -> np.ndarray:
    """Concatenate synthetic utterances, (samples,) float32 at 16 kHz."""
    return np.concatenate(
        [soundfile.read(path, dtype="float32")[0] for path in SyntheticVoices(20, 10).table()["path"]]
    )


def write_clips(folder: Path, n_clips: int, seconds: float) -> Path:
    """Write clips of equal length.

    Clips repeat once the speech is used up.

    Args:
        folder: folder for the FLAC files.
        n_clips: number of clips.
        seconds: length of a clip.

    Returns:
        Manifest of the clips.
    """
    recording, samples = speech(), int(seconds * SAMPLE_RATE)
    rows = []
    for clip in range(n_clips):
        start = clip * samples % (len(recording) - samples)
        soundfile.write(folder / f"{clip}.flac", recording[start : start + samples], SAMPLE_RATE)
        rows.append({"id": f"c{clip}", "path": f"{clip}.flac", "speaker": "s"})
    pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)
    return folder / "clips.csv"
