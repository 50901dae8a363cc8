"""Membership drawn per speaker: "was this person's voice used?"."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.splits.base import Design
from lightning_mia.splits.sampling.membership import Inclusion, Purpose, assign_membership, stream
from lightning_mia.splits.sampling.recordings import MIN_QUERIES, list_recordings
from lightning_mia.splits.sampling.sizes import MIN_UNITS_PER_CLASS, check_sizes, shrink, warn_if_shrunk
from lightning_mia.splits.sampling.training_sets import (
    MIN_INDEPENDENT,
    Background,
    Exposures,
    add_background,
    check_training_sets,
    draw_exposures,
    unit_multiple,
)
from lightning_mia.splits.split import Split
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import Size, check_fields

logger = logging.getLogger(__name__)


@dataclass
class SpeakerDesign(Design):
    """Draw members speaker by speaker, with held-back recordings.

    Every speaker contributes equally many recordings. The trained and held-back parts of a challenge speaker are drawn
    before membership, so that IN and OUT speakers are queried with the same parts. Auxiliary speakers are disjoint. Of
    recordings with identical audio only the first id is used, so that no audio is in two parts or has two labels.

    Args:
        n_units: challenge speakers, half of them members; an upper bound, reduced to the size of the corpus.
        n_auxiliary: auxiliary speakers, the adversary's own; an upper bound, reduced in proportion.
        trained_per_speaker: recordings of a member speaker that are trained on; an upper bound, reduced to the
            smallest number that any of the required speakers has.
        held_back_per_speaker: recordings of a member speaker that are not trained on; an upper bound, reduced in
            proportion.
        background: recordings of other speakers that every model is trained on and nobody evaluates: `none`, `rest`
            (all), or how many.
        exposures: how often a member speaker's recordings are in an epoch, such as [1, 4, 16] for a random third of the
            speakers each; by default once.
        inclusion: `balanced`: exactly half of the speakers are IN; `independent`: a fair coin decides for each.

    Example:
        >>> table = pd.DataFrame({"id": [f"{i:02d}" for i in range(60)], "speaker": [f"s{i % 10}" for i in range(60)]})
        >>> design = SpeakerDesign(n_units=8, n_auxiliary=2, trained_per_speaker=4, held_back_per_speaker=2)
        >>> split = design.draw(table, {name: name for name in table["id"]})
        >>> split.table["role"].value_counts().to_dict()
        {'nonmember': 24, 'member': 16, 'auxiliary': 12, 'held_back': 8}
    """

    n_units: Size = 40
    n_auxiliary: Size = 10
    trained_per_speaker: Size = 20
    held_back_per_speaker: Size = 10
    background: Background = "none"
    exposures: Exposures | None = None
    inclusion: Inclusion = "balanced"

    def __post_init__(self) -> None:
        """Validate the sizes."""
        check_sizes(self.n_units, self.n_auxiliary)
        check_fields(self, "data.design.")
        check_training_sets(self.n_units, self.exposures, self.inclusion)
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
        requested = (self.n_units, self.n_auxiliary)
        minimum = MIN_INDEPENDENT if self.inclusion == "independent" else 2 * MIN_UNITS_PER_CLASS
        n_units, n_auxiliary = shrink(requested, len(counts), what, unit_multiple(self.exposures), minimum)
        warn_if_shrunk(requested, (n_units, n_auxiliary), what)
        trained, held_back = self._part_sizes(counts, n_units + n_auxiliary)
        eligible = counts.index[counts >= trained + held_back].to_numpy()
        speakers = generator.permutation(eligible)[: n_units + n_auxiliary]
        shuffled = recordings.iloc[generator.permutation(len(recordings))]
        rank = shuffled.groupby("speaker").cumcount()  # of a recording among its speaker's
        part = np.where(rank < trained, "trained", "held_back")
        stratum = "speakers" if self.inclusion == "balanced" else "independent"
        rows = shuffled.assign(unit=shuffled["speaker"], stratum=stratum, part=part)
        rows = rows[(rank < trained + held_back) & rows["speaker"].isin(speakers)]
        challenge = pd.Series("", index=speakers[n_auxiliary:])
        groups = draw_exposures(challenge, self.exposures, stream(seed, Purpose.EXPOSURES))
        if groups is not None:
            rows["exposures"] = rows["speaker"].map(groups).fillna(1).astype(int)
            if self.inclusion == "balanced":
                rows["stratum"] = "speakers, " + rows["exposures"].astype(str) + " exposures"
        rows.loc[rows["speaker"].isin(speakers[:n_auxiliary]), ["stratum", "part"]] = ""
        remaining = recordings[~recordings["speaker"].isin(speakers)]
        rows = add_background(rows, remaining, self.background, f"of speakers beside the {len(speakers)} chosen", seed)
        table = assign_membership(rows, n_shadows, seed, self.inclusion)
        return Split(table, level="speaker", drawn=True, inclusion=self.inclusion)

    def _part_sizes(self, counts: pd.Series, n_speakers: int) -> tuple[int, int]:
        """Return the largest parts that enough speakers have."""
        requested = self.trained_per_speaker + self.held_back_per_speaker
        size = min(requested, int(counts.nlargest(n_speakers).iloc[-1]))
        if size == requested:
            return self.trained_per_speaker, self.held_back_per_speaker
        trained = round(size * self.trained_per_speaker / requested)
        trained = min(max(trained, MIN_QUERIES), size - MIN_QUERIES)
        logger.warning(
            "Fewer than %d speakers have the %d requested recordings: %d + %d recordings of each speaker are used",
            *(n_speakers, requested, trained, size - trained),
        )
        return trained, size - trained


def _without_copies(recordings: pd.DataFrame) -> pd.DataFrame:
    """Keep the first recording of identical ones."""
    first = recordings["id"] == recordings["audio"]
    if not first.all():
        logger.warning("%d copies of other recordings are excluded from the split", (~first).sum())
    return recordings[first]
