"""Samples of several packs, addressed as one array."""

import os
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class PackedSamples:
    """Samples of several packs, one after the other.

    A file is opened for each read, since a large corpus has more packs than a process may keep open files.

    Attributes:
        files: sample files, int16, little-endian.
        starts: position of the first sample of each file.
        n_samples: samples of all files.
    """

    files: tuple[str, ...]
    starts: tuple[int, ...]
    n_samples: int

    @classmethod
    def of(cls, files: Iterable[Path]) -> "PackedSamples":
        """Concatenate files."""
        names, starts, end = [], [], 0
        for file in files:
            names.append(str(file))
            starts.append(end)
            end += file.stat().st_size // 2
        return cls(tuple(names), tuple(starts), end)

    def __len__(self) -> int:
        return self.n_samples

    def __getitem__(self, span: slice) -> np.ndarray:
        """Read samples of one file, (n,) int16.

        Raises:
            InputError: the file is missing or shorter than before.
        """
        number = bisect_right(self.starts, span.start) - 1
        file, n_samples = self.files[number], span.stop - span.start
        try:
            with open(file, "rb", buffering=0) as opened:
                opened.seek(2 * (span.start - self.starts[number]))
                content = opened.read(2 * n_samples)
        except OSError as error:
            raise InputError(
                f"{file} cannot be read ({error.strerror or error}); run the same command again to decode it anew"
            ) from error
        if len(content) != 2 * n_samples:
            raise InputError(f"{file} is damaged; {remedy(file)}")
        return np.frombuffer(content, "<i2")

    def file_of(self, position: int) -> str:
        """Return the file that holds a sample."""
        return self.files[bisect_right(self.starts, position) - 1]

    def check_exist(self) -> None:
        """Check that this machine has all files.

        Raises:
            InputError: a file does not exist.
        """
        for file in self.files:
            if not os.path.exists(file):
                raise InputError(
                    f"{file} does not exist: with several machines, LIGHTNING_MIA_CACHE must be a folder that they "
                    "share"
                )


def remedy(file: str) -> str:
    """Return what to do about a damaged file."""
    return f"delete {os.path.dirname(file)} and run the same command again"
