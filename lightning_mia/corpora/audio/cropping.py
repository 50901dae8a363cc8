"""Crop recordings to a common length without copying samples."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.utilities.progress_bar import tqdm

CropFrom = Literal["start", "anywhere"]


def crop_recordings(
    audio: AudioCache, ids: Sequence[str], n_samples: int, crop_from: CropFrom = "start", progress: bool = True
) -> AudioCache:
    """Crop recordings to a common length.

    Only the index changes: offset, length and SHA-256. Shortened recordings lose their transcript, which no longer
    matches the audio.

    Args:
        audio: the decoded corpus.
        ids: recordings to keep, in the order of the new index; none shorter than `n_samples`.
        n_samples: common length.
        crop_from: `start`, or `anywhere`: a pseudo-random position derived from the id.
        progress: show a progress bar.

    Raises:
        ValueError: a recording is shorter.
    """
    index = audio.index.loc[list(ids)].copy()
    lengths = index["n_samples"].to_numpy()
    if (lengths < n_samples).any():
        raise ValueError(f"Expected recordings of at least {n_samples} samples, but got one of {lengths.min()}")
    changed = index.index[lengths > n_samples]
    starts = dict(zip(ids, crop_starts(audio, ids, n_samples, crop_from).tolist(), strict=True))
    index["offset"] += list(starts.values())
    index["n_samples"] = n_samples
    index["duration"] = n_samples / SAMPLE_RATE
    index.loc[changed, "sha256"] = [
        hashlib.sha256(audio.pcm(name)[starts[name] : starts[name] + n_samples].tobytes()).hexdigest()
        for name in tqdm(changed, desc="Cropping audio", unit="clip", disable=not progress)
    ]
    unchanged = set(ids) - set(changed)
    return replace(audio, index=index, texts={name: text for name, text in audio.texts.items() if name in unchanged})


def crop_starts(audio: AudioCache, ids: Sequence[str], n_samples: int, crop_from: CropFrom) -> np.ndarray:
    """Return the start of each crop (samples), (ids,) int."""
    spare = audio.index.loc[list(ids), "n_samples"].to_numpy() - n_samples
    if crop_from == "start":
        return np.zeros_like(spare)
    hashes = [int.from_bytes(hashlib.sha256(f"crop {name}".encode()).digest()[:8], "big") for name in ids]
    return np.array([number % (slack + 1) for number, slack in zip(hashes, spare.tolist(), strict=True)], dtype=int)


def silent_crops(audio: AudioCache, ids: Sequence[str], n_samples: int, crop_from: CropFrom) -> list[str]:
    """Return the ids of recordings whose crop contains only zeros."""
    starts = crop_starts(audio, ids, n_samples, crop_from).tolist()
    return [
        name for name, start in zip(ids, starts, strict=True) if not audio.pcm(name)[start : start + n_samples].any()
    ]
