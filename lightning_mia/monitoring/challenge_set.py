"""The recordings by which leakage is measured, and who among them is a member."""

from dataclasses import dataclass

import pandas as pd

from lightning_mia.data.module import SpeechDataModule
from lightning_mia.data.recordings import Recordings
from lightning_mia.split import Level, Split


@dataclass(frozen=True)
class ChallengeSet:
    """What a monitor asks about: the same recordings at every measurement.

    Attributes:
        split: who is a member.
        recordings: those that are judged, as they are queried.
        auxiliary: the adversary's own recordings.
    """

    split: Split
    recordings: Recordings
    auxiliary: Recordings

    @classmethod
    def of(cls, data: SpeechDataModule) -> "ChallengeSet":
        """The challenge set of a data module that is loaded."""
        split = data.split
        ids = list(split.challenge(split.level)["id"])
        return cls(split, data.queries(ids), data.queries(split.auxiliary_ids()))

    @property
    def judged(self) -> pd.DataFrame:
        """One row a recording: `id`, `unit_id`, `speaker`, `member`."""
        return self.split.challenge(self.level)

    @property
    def level(self) -> Level:
        """The level at which the split was drawn, or at which a ready-made one is reported."""
        return self.split.level
