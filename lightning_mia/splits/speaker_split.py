"""Membership drawn speaker by speaker: "was this person's voice used?"."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.splits.base import Design
from lightning_mia.splits.sampling.membership import Purpose, assign_membership, stream
from lightning_mia.splits.sampling.recordings import MIN_QUERIES, list_recordings
from lightning_mia.splits.sampling.sizes import check_asked, shrink, warn_if_shrunk
from lightning_mia.splits.split import Split
from lightning_mia.utilities.errors import InputError

logger = logging.getLogger(__name__)


@dataclass
class SpeakerDesign(Design):
    """Draw the member set speaker by speaker, nested: some recordings of a member speaker are held back.

    Every speaker gives the same number of recordings. Which of a challenge speaker's recordings belong to the
    trained and which to the held-back part is fixed, at random, before membership is drawn; a speaker who
    turns out to be OUT is asked about the same parts. Auxiliary speakers are others. Of recordings with the
    very same audio, of one speaker or of several, only the first id takes part: the same audio never stands
    on two sides, nor in both parts of a speaker.

    Args:
        n_units: challenge speakers, half of them members; an upper bound, shrunk to what the corpus has.
        n_auxiliary: auxiliary speakers, the adversary's own; an upper bound, shrunk in proportion.
        trained_per_speaker: recordings of a member speaker that are trained on; an upper bound, shrunk to
            what the poorest of the speakers needed has.
        held_back_per_speaker: recordings of a member speaker that are not trained on; an upper bound, shrunk
            in proportion.
    """

    n_units: int = 40
    n_auxiliary: int = 10
    trained_per_speaker: int = 20
    held_back_per_speaker: int = 10

    def __post_init__(self) -> None:
        """Refuse sizes that no corpus can give."""
        check_asked(self.n_units, self.n_auxiliary)
        if min(self.trained_per_speaker, self.held_back_per_speaker) < MIN_QUERIES:
            raise InputError(
                f"trained_per_speaker and held_back_per_speaker must be at least {MIN_QUERIES}, "
                f"but are {self.trained_per_speaker} and {self.held_back_per_speaker}"
            )

    def draw(self, table: pd.DataFrame, contents: Mapping[str, str], n_shadows: int = 0, seed: int = 0) -> Split:
        """Draw the split; see `Design.draw`."""
        recordings = _without_copies(list_recordings(table, contents))
        generator = stream(seed, Purpose.PREPARE)
        counts = recordings["speaker"].value_counts().sort_index()
        counts = counts[counts >= 2 * MIN_QUERIES]
        what = f"speakers with at least {2 * MIN_QUERIES} recordings"
        asked = (self.n_units, self.n_auxiliary)
        n_units, n_auxiliary = shrink(asked, len(counts), what)
        warn_if_shrunk(asked, (n_units, n_auxiliary), what)
        trained, held_back = self._sizes(counts, n_units + n_auxiliary)
        rich_enough = counts.index[counts >= trained + held_back].to_numpy()
        speakers = generator.permutation(rich_enough)[: n_units + n_auxiliary]
        shuffled = recordings.iloc[generator.permutation(len(recordings))]
        rank = shuffled.groupby("speaker").cumcount()  # place of a recording among its speaker's
        part = np.where(rank < trained, "trained", "held_back")
        rows = shuffled.assign(unit=shuffled["speaker"], stratum="speakers", part=part)
        rows = rows[(rank < trained + held_back) & rows["speaker"].isin(speakers)]
        rows.loc[rows["speaker"].isin(speakers[:n_auxiliary]), ["stratum", "part"]] = ""
        return Split(assign_membership(rows, n_shadows, seed), level="speaker", drawn=True)

    def _sizes(self, counts: pd.Series, n_speakers: int) -> tuple[int, int]:
        """The largest trained and held-back parts, equal for all, that let so many speakers in."""
        asked = self.trained_per_speaker + self.held_back_per_speaker
        size = min(asked, int(counts.nlargest(n_speakers).iloc[-1]))
        if size == asked:
            return self.trained_per_speaker, self.held_back_per_speaker
        trained = round(size * self.trained_per_speaker / asked)
        trained = min(max(trained, MIN_QUERIES), size - MIN_QUERIES)
        logger.warning(
            "Fewer than %d speakers have the %d recordings asked for: %d + %d recordings of each are used",
            *(n_speakers, asked, trained, size - trained),
        )
        return trained, size - trained


def _without_copies(recordings: pd.DataFrame) -> pd.DataFrame:
    """The first id of every audio."""
    first = recordings["id"] == recordings["audio"]
    if not first.all():
        logger.warning("%d copies of other recordings are left out of the split", (~first).sum())
    return recordings[first]
