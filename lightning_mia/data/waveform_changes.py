"""What is done to a recording between the audio cache and the model."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class WaveformChanges:
    """Changes to every recording on its way to the model; none by default.

    Args:
        peak_normalise: scale to a peak of 1, as `sox norm` does and Tseng et al. (2022) did.
        reverse: play backwards.
    """

    peak_normalise: bool = False
    reverse: bool = False

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Change one recording, (samples,) float32 → the same.

        >>> WaveformChanges(peak_normalise=True, reverse=True)(np.array([0.0, 0.25, -0.5], np.float32)).tolist()
        [-1.0, 0.5, 0.0]
        """
        peak = float(np.abs(waveform).max()) if self.peak_normalise else 0.0
        if peak > 0:  # digital silence stays as it is
            waveform = waveform / np.float32(peak)
        return waveform[::-1].copy() if self.reverse else waveform

    def of_consequence(self) -> dict[str, Any]:
        """The changes that are made, for the hash of a stage."""
        return {name: value for name, value in asdict(self).items() if value}
