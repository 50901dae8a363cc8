"""SpecAugment: parts of the log-mel frames hidden in training, others in every step."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_mia.errors import InputError


@dataclass(frozen=True)
class SpecAugment:
    """Hide stretches of frames and of neighbouring mel bands from a model that trains (Park et al. 2019, §2).

    It serves the families that see log-mel frames (TERA, MelHuBERT), whose frames have zero mean in every band: what is
    hidden becomes that mean, as in the paper. It comes on top of what a model hides as its task, and the model is not
    asked for it. There is no time warping, which the paper found to matter least. Queries are never changed.

    Args:
        n_time: stretches of frames that are hidden (the paper's policies LD, SM and SS: 2); 0: none.
        n_frequency: stretches of mel bands likewise; 0: none.
        time_share: largest part of a recording that one stretch of frames hides (the paper's p: 0.2 in SM and SS).
        frequency_share: largest part of the bands that one stretch of bands hides (the paper's F: 27 of 80 in LD and
            SS).
    """

    n_time: int = 0
    n_frequency: int = 0
    time_share: float = 0.2
    frequency_share: float = 0.34

    def __post_init__(self) -> None:
        """Refuse what is no stretch, or leaves nothing."""
        for name in ("n_time", "n_frequency"):
            if getattr(self, name) < 0:
                raise InputError(f"data.spec_augment.{name} is {getattr(self, name)}: give 0 or more")
        for name in ("time_share", "frequency_share"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"data.spec_augment.{name} is {getattr(self, name)}: give a share between 0 and 1")

    @property
    def wanted(self) -> bool:
        """Whether anything is hidden."""
        return bool(self.n_time or self.n_frequency)

    def of_consequence(self) -> dict[str, Any]:
        """The settings, where anything is hidden, for the hash of a stage."""
        return {"spec_augment": asdict(self)} if self.wanted else {}

    def __call__(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Hide stretches of every recording, drawn from torch's global generator.

        Args:
            frames: (batch, frames, bands), zero mean in every band.
            lengths: (batch,) real frames.
        """
        bands = torch.full_like(lengths, frames.shape[2])
        in_time = self._hidden(lengths, self.n_time, self.time_share, frames.shape[1])
        in_frequency = self._hidden(bands, self.n_frequency, self.frequency_share, frames.shape[2])
        return frames.masked_fill(in_time.unsqueeze(2) | in_frequency.unsqueeze(1), 0.0)

    @staticmethod
    def _hidden(lengths: Tensor, n_stretches: int, share: float, size: int) -> Tensor:
        """What a number of stretches hide together: (batch, size) bool."""
        each = lengths.repeat_interleave(n_stretches)
        hidden = draw_stretches(each, (share * each).floor(), size)
        return hidden.view(len(lengths), n_stretches, size).any(dim=1)


def draw_stretches(lengths: Tensor, widest: Tensor, size: int) -> Tensor:
    """Draw a stretch a row: 0 to `widest` neighbouring places (evenly), somewhere within its length (evenly).

    Args:
        lengths: (rows,) places that a stretch may lie in.
        widest: (rows,) most places of it.
        size: of a row.

    Returns:
        (rows, size) bool, True within the stretch.
    """
    draw = torch.rand(2, len(lengths), 1, device=lengths.device)
    width = (draw[0] * (widest.unsqueeze(1) + 1)).floor()
    first = (draw[1] * (lengths.unsqueeze(1) - width + 1)).floor()
    place = torch.arange(size, device=lengths.device)
    return (place >= first) & (place < first + width)
