"""The decoded audio of a corpus: one memory-mapped array of samples, and an index by utterance id."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.audio.pack import Pack, open_pack
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import cache_root, hash_of

INDEX_COLUMNS = [
    "offset",  # samples
    "n_samples",
    "sha256",  # of the int16 samples, little-endian
    "source_rate",  # Hz
    "source_channels",
    "source_format",  # as libsndfile names it: "FLAC", "WAV" …
    "source_subtype",  # "PCM_16", "FLOAT" …
    "duration",  # seconds
]


@dataclass(frozen=True, eq=False)
class AudioCache:
    """Decoded audio; pickled (for a data loader's workers) without the samples, by the name of their file."""

    samples: np.memmap  # (total samples,) int16, 16 kHz mono
    index: pd.DataFrame  # by utterance id: INDEX_COLUMNS
    skipped: pd.DataFrame  # id, path, reason: left out by on_bad_audio="skip"
    texts: Mapping[str, str] = field(default_factory=dict)  # transcript, by utterance id, where there is one

    def waveform(self, utterance_id: str) -> np.ndarray:
        """Return one utterance, (n_samples,) float32 in [−1, 1)."""
        return self.samples[self._spans[utterance_id]].astype(np.float32) / np.float32(32768)

    @cached_property
    def _spans(self) -> dict[str, slice]:
        """Where every utterance lies; to ask the data frame each time costs as much as to copy a clip."""
        starts, lengths = self.index["offset"].to_list(), self.index["n_samples"].to_list()
        spans = [slice(start, start + length) for start, length in zip(starts, lengths, strict=True)]
        return dict(zip(self.index.index, spans, strict=True))

    @property
    def contents(self) -> dict[str, str]:
        """SHA-256 of the samples, by utterance id."""
        return dict(zip(self.index.index.astype(str), self.index["sha256"].astype(str), strict=True))

    def sha256_of(self, ids: Sequence[str]) -> str:
        """Return the data hash of these utterances: of their ids and contents, whatever their order."""
        return hash_of(sorted(self.index.loc[list(ids), "sha256"].items()))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the samples behind; keep where they are."""
        location = self.samples.filename, len(self.samples)
        return {"samples": location, "index": self.index, "skipped": self.skipped, "texts": self.texts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map the samples again.

        Raises:
            InputError: this machine does not see their file.
        """
        try:
            samples = _map(*state["samples"])
        except OSError as error:
            raise InputError(
                f"{state['samples'][0]} is not there: on several machines LIGHTNING_MIA_CACHE has to name a folder "
                "that all of them share"
            ) from error
        self.__dict__.update(state, samples=samples)


def decode(
    table: pd.DataFrame,
    *,
    cache_dir: Path | None = None,
    on_bad_audio: Literal["error", "skip"] = "error",
    progress: bool = True,
) -> AudioCache:
    """Decode every recording of a table once and open the result; later calls with these files only open it.

    Args:
        table: columns `id`, `path` and, where there are transcripts, `text`, as `Corpus.table` gives them.
        cache_dir: folder of the packs; by default `cache_root() / "audio"`.
        on_bad_audio: what to do with files that cannot be used: raise one error for all of them, or leave
            them out and list them in `AudioCache.skipped`.
        progress: show a progress bar.

    Raises:
        InputError: unusable files (or, with "skip", nothing but such files); the cache cannot be written.
    """
    pack = open_pack(list(table["path"]), cache_dir or cache_root() / "audio", progress)
    files = pd.DataFrame([asdict(file) for file in pack.files]).set_index("path")
    rows = table[["id", "path"]].join(files, on="path").reset_index(drop=True)
    bad = rows["reason"] != ""
    _refuse(rows[bad], len(rows), on_bad_audio)
    index = rows[~bad].set_index("id")
    index["duration"] = index["n_samples"] / SAMPLE_RATE
    skipped = rows.loc[bad, ["id", "path", "reason"]].reset_index(drop=True)
    texts = {id_: text for id_, text in zip(table["id"], table["text"], strict=True) if text} if "text" in table else {}
    return AudioCache(_map_pack(pack), index[INDEX_COLUMNS], skipped, texts)


def _refuse(bad: pd.DataFrame, n_all: int, on_bad_audio: Literal["error", "skip"]) -> None:
    if bad.empty or (on_bad_audio == "skip" and len(bad) < n_all):
        return
    named = list_first([f"{path}: {reason}" for path, reason in zip(bad["path"], bad["reason"], strict=True)])
    what = f"{len(bad)} of {n_all} recordings cannot be used: {named}"
    remedy = "leave them out by on_bad_audio: skip" if len(bad) < n_all else "check the paths"
    raise InputError(f"{what}; mend or remove them, or {remedy}")


def _map_pack(pack: Pack) -> np.memmap:
    try:
        return _map(pack.samples, sum(file.n_samples for file in pack.files))
    except (OSError, ValueError) as error:
        raise InputError(f"{pack.samples} is damaged; delete its folder and start again") from error


def _map(path: str | Path, n_samples: int) -> np.memmap:
    return np.memmap(path, dtype="<i2", mode="r", shape=(n_samples,))
