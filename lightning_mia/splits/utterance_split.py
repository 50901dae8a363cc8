"""Membership drawn per utterance: "was this recording used?"."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.splits.base import Design
from lightning_mia.splits.sampling.membership import Inclusion, Purpose, assign_membership, stream
from lightning_mia.splits.sampling.recordings import list_recordings
from lightning_mia.splits.sampling.sizes import (
    MIN_UNITS_PER_CLASS,
    check_sizes,
    divide_proportionally,
    shrink,
    warn_if_shrunk,
    water_fill,
)
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
from lightning_mia.utilities.ranges import Size, check_fields

MIN_STRATUM_SIZE = 10
"""In smaller balanced strata, the speaker's other units are noticeably more often IN if one unit is OUT."""


@dataclass
class UtteranceDesign(Design):
    """Draw members utterance by utterance, balanced within speakers.

    Recordings with identical audio form one unit: all IN, OUT or auxiliary. The units are spread over speakers as
    evenly as the corpus allows; each speaker's share is divided at random into auxiliary and challenge units, in
    proportion; then membership is drawn. Exactly half of every stratum is IN. A stratum is a speaker with at least 10
    challenge units; the units of other speakers, and the odd unit of a speaker, are pooled. Units with several copies
    and those of different exposures have separate strata, so that all models are trained on equally many recordings.

    Args:
        n_units: challenge utterances, half of them members; an upper bound, reduced to the size of the corpus.
        n_auxiliary: auxiliary utterances, the adversary's own; an upper bound, reduced in proportion.
        background: other recordings that every model is trained on and nobody evaluates: `none`, `rest` (all), or how
            many.
        exposures: how often members are in an epoch, such as [1, 4, 16] for a random third each; by default once.
        inclusion: `balanced`: exactly half of every stratum is IN; `independent`: a fair coin decides for each unit.

    Example:
        >>> table = pd.DataFrame({"id": [f"{i:02d}" for i in range(48)], "speaker": ["Ann", "Bob"] * 24})
        >>> split = UtteranceDesign(n_units=40, n_auxiliary=8).draw(table, {name: name for name in table["id"]})
        >>> split.challenge("utterance").groupby("speaker")["member"].sum().to_dict()
        {'Ann': 10, 'Bob': 10}
    """

    n_units: Size = 400
    n_auxiliary: Size = 200
    background: Background = "none"
    exposures: Exposures | None = None
    inclusion: Inclusion = "balanced"

    def __post_init__(self) -> None:
        """Validate the sizes."""
        check_sizes(self.n_units, self.n_auxiliary)
        check_fields(self, "data.design.")
        check_training_sets(self.n_units, self.exposures, self.inclusion)

    def draw(self, table: pd.DataFrame, contents: Mapping[str, str], n_shadows: int = 0, seed: int = 0) -> Split:
        """Draw the split; see `Design.draw`."""
        recordings = list_recordings(table, contents)
        requested = (self.n_units, self.n_auxiliary)
        units = self._choose_units(recordings, requested, seed)
        n_auxiliary = int((units["part"] == "").sum())
        warn_if_shrunk(requested, (len(units) - n_auxiliary, n_auxiliary), "utterances")
        columns = ["audio", "stratum", "part", *(["exposures"] if self.exposures else [])]
        rows = recordings[["id", "speaker", "audio"]].merge(units[columns], on="audio")
        rows["unit"] = rows["audio"]
        remaining = recordings[~recordings["audio"].isin(units["audio"])]
        where = f"beside {len(units)} challenge and auxiliary utterances"
        rows = add_background(rows, remaining, self.background, where, seed)
        table = assign_membership(rows, n_shadows, seed, self.inclusion)
        return Split(table, level="utterance", drawn=True, inclusion=self.inclusion)

    def _choose_units(self, recordings: pd.DataFrame, requested: tuple[int, int], seed: int) -> pd.DataFrame:
        """Choose challenge and auxiliary units.

        Columns are `audio`, `part` ("trained", or "" if auxiliary), `exposures` and `stratum` ("" if auxiliary).
        """
        generator, exposures_generator = stream(seed, Purpose.PREPARE), stream(seed, Purpose.EXPOSURES)
        minimum = MIN_INDEPENDENT if self.inclusion == "independent" else 2 * MIN_UNITS_PER_CLASS
        copies = recordings.groupby("audio")["id"].transform("size")
        units = recordings.assign(copies=copies)[recordings["id"] == recordings["audio"]]
        units = units.iloc[generator.permutation(len(units))]
        while True:
            sizes = shrink(requested, len(units), "utterances", unit_multiple(self.exposures), minimum)
            chosen = _spread(units, sizes, generator)
            challenge = chosen["speaker"][chosen["part"] != ""]
            groups = draw_exposures(challenge, self.exposures, exposures_generator)
            chosen["exposures"] = 1 if groups is None else groups.reindex(chosen.index, fill_value=1)
            if self.inclusion == "independent":
                return chosen.assign(stratum=np.where(chosen["part"] != "", "independent", ""))
            chosen["stratum"] = _name_strata(chosen)
            size = chosen.groupby("stratum")["audio"].transform("size")
            odd = chosen[(size % 2 == 1) & (chosen["stratum"] != "")].drop_duplicates("stratum")
            if odd.empty:
                return chosen
            # The number of challenge units is even: once all strata of copied units are even, so are the others.
            units = units.drop(odd.index[odd["copies"] > 1])


def _spread(units: pd.DataFrame, sizes: tuple[int, int], generator: np.random.Generator) -> pd.DataFrame:
    """Spread challenge and auxiliary units over speakers, adding `part`."""
    available = units["speaker"].value_counts().sort_index()
    available = available.iloc[generator.permutation(len(available))]  # so that rounding favours no name
    shares = water_fill(available.to_numpy(), sum(sizes), generator)
    quotas = pd.DataFrame(
        {"share": shares, "auxiliary": divide_proportionally(sizes[1], shares)}, index=available.index
    ).loc[units["speaker"]]  # one row per unit
    rank = units.groupby("speaker").cumcount().to_numpy()  # of a unit among its speaker's
    part = np.where(rank < quotas["auxiliary"], "", "trained")
    return units.assign(part=part)[rank < quotas["share"].to_numpy()]


def _name_strata(units: pd.DataFrame) -> pd.Series:
    """Name the stratum of every unit.

    Only pooled strata can have an odd number of units.
    """
    challenge = units[units["part"] != ""]
    speaker_sizes = challenge.groupby(["speaker", "exposures"])["audio"].transform("size")
    stratum = ("speaker " + challenge["speaker"]).where(speaker_sizes >= MIN_STRATUM_SIZE, "pooled")
    groups = stratum.groupby([stratum, challenge["copies"], challenge["exposures"]])
    is_odd = (groups.transform("size") % 2 == 1) & (groups.cumcount() == 0)
    copies = (challenge["copies"].astype(str) + " copies, ").where(challenge["copies"] > 1, "")
    has_groups = challenge["exposures"].nunique() > 1
    times = (challenge["exposures"].astype(str) + " exposures, ") if has_groups else ""
    return (times + copies + stratum.where(~is_odd, "pooled")).reindex(units.index, fill_value="")
