"""Recordings cut to one length, without another copy of the samples."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from tqdm import tqdm

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.audio.cache import AudioCache

CropFrom = Literal["start", "anywhere"]


def cropped(
    audio: AudioCache, ids: Sequence[str], n_samples: int, crop_from: CropFrom = "start", progress: bool = True
) -> AudioCache:
    """Cut recordings to one length.

    The samples stay where they are; the index names the part that is left, and its SHA-256. The transcript of a
    recording that loses something is left out: it says more than is to be heard.

    Args:
        audio: the decoded corpus.
        ids: the recordings to keep, in the order of the new index; none shorter than `n_samples`.
        n_samples: length of each of them afterwards.
        crop_from: `start`, or `anywhere`: a place that follows from the id alone.
        progress: show a progress bar.

    Raises:
        ValueError: a recording is shorter.
    """
    index = audio.index.loc[list(ids)].copy()
    lengths = index["n_samples"].to_numpy()
    if (lengths < n_samples).any():
        raise ValueError(f"Expected recordings of at least {n_samples} samples, but got one of {lengths.min()}")
    changed = index.index[lengths > n_samples]
    index["offset"] += crop_starts(audio, ids, n_samples, crop_from)
    index["n_samples"] = n_samples
    index["duration"] = n_samples / SAMPLE_RATE
    starts = index.loc[changed, "offset"].to_list()
    index.loc[changed, "sha256"] = [
        hashlib.sha256(audio.samples[start : start + n_samples].tobytes()).hexdigest()
        for start in tqdm(starts, desc="Cropping audio", unit="clip", disable=not progress)
    ]
    left = set(ids) - set(changed)
    return replace(audio, index=index, texts={name: text for name, text in audio.texts.items() if name in left})


def crop_starts(audio: AudioCache, ids: Sequence[str], n_samples: int, crop_from: CropFrom) -> np.ndarray:
    """Where the part that is kept starts within each recording, (ids,) int, in samples."""
    spare = audio.index.loc[list(ids), "n_samples"].to_numpy() - n_samples
    if crop_from == "start":
        return np.zeros_like(spare)
    drawn = [int.from_bytes(hashlib.sha256(f"crop {name}".encode()).digest()[:8], "big") for name in ids]
    return np.array([number % (most + 1) for number, most in zip(drawn, spare.tolist(), strict=True)], dtype=int)


def silent_parts(audio: AudioCache, ids: Sequence[str], n_samples: int, crop_from: CropFrom) -> list[str]:
    """Recordings of which nothing but zeros would be left, by id."""
    starts = audio.index.loc[list(ids), "offset"].to_numpy() + crop_starts(audio, ids, n_samples, crop_from)
    return [name for name, start in zip(ids, starts, strict=True) if not audio.samples[start : start + n_samples].any()]
