"""Decoded audio of a corpus, indexed by id and checked when read."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.audio.decoding import length_reason
from lightning_mia.corpora.audio.entries import read_entries
from lightning_mia.corpora.audio.pack import SAMPLES, PackedFile, open_packs
from lightning_mia.corpora.audio.packed_samples import PackedSamples, remedy
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import cache_root, hash_of

INDEX_COLUMNS = [
    "offset",  # samples
    "n_samples",
    "sha256",  # of the int16 samples, little-endian
    "source_rate",  # Hz
    "source_channels",
    "source_format",  # libsndfile's name: "FLAC", "WAV" …
    "source_subtype",  # "PCM_16", "FLOAT" …
    "duration",  # seconds
    "n_clipped",  # samples beyond full scale
]


@dataclass(frozen=True, eq=False)
class AudioCache:
    """Decoded audio of a corpus.

    The samples stay on the disk. Every process compares a recording with its hash when it first reads it.

    Example:
        >>> import soundfile, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/a.wav"
        ...     soundfile.write(path, np.linspace(-1, 1, 8_000), 8_000)
        ...     table = pd.DataFrame({"id": ["a"], "path": [path]})
        ...     audio = decode(table, cache_dir=Path(folder), progress=False)
        ...     len(audio.waveform("a")), float(audio.index.loc["a", "duration"])
        (16000, 1.0)
    """

    samples: PackedSamples  # (total samples,) int16, 16 kHz mono
    index: pd.DataFrame  # by utterance id: INDEX_COLUMNS
    skipped: pd.DataFrame  # id, path, reason: excluded by on_bad_audio="skip"
    texts: Mapping[str, str] = field(default_factory=dict)  # transcripts by utterance id

    def waveform(self, utterance_id: str) -> np.ndarray:
        """Return one utterance, (n_samples,) float32 in [−1, 1).

        Raises:
            InputError: the cached audio is damaged or missing.
        """
        return self.pcm(utterance_id).astype(np.float32) / np.float32(32768)

    def pcm(self, utterance_id: str) -> np.ndarray:
        """Return one utterance, (n_samples,) int16.

        Raises:
            InputError: the cached audio is damaged or missing.
        """
        span = self._spans[utterance_id]
        samples = self.samples[span]
        if utterance_id in self._unchecked:
            if hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest() != self._unchecked[utterance_id]:
                file = self.samples.file_of(span.start)
                raise InputError(f"The audio of {utterance_id} in {file} is damaged; {remedy(file)}")
            del self._unchecked[utterance_id]
        return samples

    @cached_property
    def _unchecked(self) -> dict[str, str]:
        """Hashes of the utterances that this process has not read yet."""
        return {} if "sha256" not in self.index else {name: sha256 for name, sha256 in self.contents.items() if sha256}

    @cached_property
    def _spans(self) -> dict[str, slice]:
        """Position of every utterance.

        Looking it up in the data frame would be as slow as copying the audio.
        """
        starts, lengths = self.index["offset"].to_list(), self.index["n_samples"].to_list()
        spans = [slice(start, start + length) for start, length in zip(starts, lengths, strict=True)]
        return dict(zip(self.index.index, spans, strict=True))

    @property
    def contents(self) -> dict[str, str]:
        """SHA-256 of the samples by utterance id."""
        return dict(zip(self.index.index.astype(str), self.index["sha256"].astype(str), strict=True))

    def data_hash(self, ids: Sequence[str]) -> str:
        """Hash ids and contents of utterances, in any order."""
        return hash_of(sorted(self.index.loc[list(ids), "sha256"].items()))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is computed on demand."""
        return {"samples": self.samples, "index": self.index, "skipped": self.skipped, "texts": self.texts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Check that the samples can be read here.

        Raises:
            InputError: a file does not exist on this machine.
        """
        state["samples"].check_exist()
        self.__dict__.update(state)


def decode(
    table: pd.DataFrame,
    *,
    cache_dir: Path | None = None,
    on_bad_audio: Literal["error", "skip"] = "error",
    max_seconds: float | None = None,
    progress: bool = True,
) -> AudioCache:
    """Decode all recordings of a table, or open cached audio.

    Args:
        table: utterance table with `id`, `path` and optionally `text` and `duration`, which is compared with the audio.
        cache_dir: folder of the packs; default: `cache_root() / "audio"`.
        on_bad_audio: `error` raises one error for all unusable files; `skip` excludes them and lists them in
            `AudioCache.skipped`.
        max_seconds: longer recordings are unusable; None: no limit.
        progress: show a progress bar.

    Raises:
        InputError: unusable files (with "skip": no usable file), or the cache cannot be written.
    """
    packed = open_packs(table["path"], cache_dir or cache_root() / "audio", progress)
    samples, packed = _joined(packed)
    index, skipped = _usable(table, packed, on_bad_audio, max_seconds)
    texts = (
        {name: text for name, text in zip(table["id"], table["text"], strict=True) if text} if "text" in table else {}
    )
    return AudioCache(samples, index[INDEX_COLUMNS], skipped, texts)


def read_contents(
    table: pd.DataFrame,
    *,
    cache_dir: Path | None = None,
    on_bad_audio: Literal["error", "skip"] = "error",
    max_seconds: float | None = None,
    progress: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return lengths and hashes of all recordings, as `decode` would, without storing samples.

    Args:
        table: as in `decode`.
        cache_dir: as in `decode`; lengths and hashes are kept there.
        on_bad_audio: as in `decode`.
        max_seconds: as in `decode`.
        progress: show a progress bar.

    Returns:
        `AudioCache.index` and `AudioCache.skipped`.

    Raises:
        InputError: unusable files (with "skip": no usable file), or the cache cannot be written.
    """
    files = read_entries(table["path"], cache_dir or cache_root() / "audio", progress)
    index, skipped = _usable(table, files, on_bad_audio, max_seconds)
    return index[INDEX_COLUMNS], skipped


def _usable(
    table: pd.DataFrame,
    packed: Sequence[PackedFile],
    on_bad_audio: Literal["error", "skip"],
    max_seconds: float | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Divide recordings into usable ones, index = id, and others."""
    files = pd.DataFrame([asdict(file) for file in packed]).set_index("path")
    rows = table[["id", "path"]].join(files, on="path").reset_index(drop=True)
    stated = table["duration"].to_list() if "duration" in table else [math.nan] * len(rows)
    rows["reason"] = [
        reason or length_reason(n_samples / SAMPLE_RATE, seconds, max_seconds)
        for reason, n_samples, seconds in zip(rows["reason"], rows["n_samples"], stated, strict=True)
    ]
    bad = rows["reason"] != ""
    _check_usable(rows[bad], len(rows), on_bad_audio)
    index = rows[~bad].set_index("id")
    index["duration"] = index["n_samples"] / SAMPLE_RATE
    return index, rows.loc[bad, ["id", "path", "reason"]].reset_index(drop=True)


def _check_usable(bad: pd.DataFrame, n_all: int, on_bad_audio: Literal["error", "skip"]) -> None:
    if bad.empty or (on_bad_audio == "skip" and len(bad) < n_all):
        return
    named = list_first([f"{path}: {reason}" for path, reason in zip(bad["path"], bad["reason"], strict=True)])
    problem = f"{len(bad)} of {n_all} recordings cannot be used: {named}"
    remedy = "exclude them by on_bad_audio: skip" if len(bad) < n_all else "check the paths"
    raise InputError(f"{problem}; repair or remove them, or {remedy}")


def _joined(packed: Sequence[PackedFile]) -> tuple[PackedSamples, list[PackedFile]]:
    """Join the packs of all files; offsets become those in the joined samples."""
    packs = sorted({file.pack for file in packed if not file.reason})
    samples = PackedSamples.of(Path(pack) / SAMPLES for pack in packs)
    starts = dict(zip(packs, samples.starts, strict=True))
    return samples, [replace(file, offset=file.offset + starts.get(file.pack, 0)) for file in packed]
