"""Membership drawn utterance by utterance: "was this recording used?"."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.splits.base import Design
from lightning_mia.splits.sampling.membership import Purpose, assign_membership, stream
from lightning_mia.splits.sampling.recordings import list_recordings
from lightning_mia.splits.sampling.sizes import check_asked, divide_in_proportion, shrink, warn_if_shrunk, water_fill
from lightning_mia.splits.split import Split

MIN_UNITS_OF_A_STRATUM = 10
"""In a small balanced stratum the siblings of an OUT clip are noticeably more often IN, and sound like it."""


@dataclass
class UtteranceDesign(Design):
    """Draw the member set utterance by utterance, balanced within speakers.

    Recordings with the very same audio are one unit: together IN, OUT or auxiliary. The units asked for are
    spread over speakers as evenly as the corpus allows; each speaker's share is divided at random into
    auxiliary and challenge units, in proportion; only then is membership drawn. Exactly half of every stratum
    is IN. A stratum is a speaker with at least 10 challenge units; the units of other speakers, and the odd
    one of a speaker, are pooled. Units of several copies have strata of their own, so that all models train
    on equally many recordings.

    Args:
        n_units: challenge utterances, half of them members; an upper bound, shrunk to what the corpus has.
        n_auxiliary: auxiliary utterances, the adversary's own; an upper bound, shrunk in proportion.
    """

    n_units: int = 400
    n_auxiliary: int = 200

    def __post_init__(self) -> None:
        """Refuse sizes that no corpus can give."""
        check_asked(self.n_units, self.n_auxiliary)

    def draw(self, table: pd.DataFrame, contents: Mapping[str, str], n_shadows: int = 0, seed: int = 0) -> Split:
        """Draw the split; see `Design.draw`."""
        recordings = list_recordings(table, contents)
        asked = (self.n_units, self.n_auxiliary)
        units = _choose_units(recordings, asked, stream(seed, Purpose.PREPARE))
        n_auxiliary = int((units["part"] == "").sum())
        warn_if_shrunk(asked, (len(units) - n_auxiliary, n_auxiliary), "utterances")
        rows = recordings[["id", "speaker", "audio"]].merge(units[["audio", "stratum", "part"]], on="audio")
        rows["unit"] = rows["audio"]
        return Split(assign_membership(rows, n_shadows, seed), level="utterance", drawn=True)


def _choose_units(recordings: pd.DataFrame, asked: tuple[int, int], generator: np.random.Generator) -> pd.DataFrame:
    """Choose units: `audio`, `part` ("trained", or "" if auxiliary), `stratum` ("" if auxiliary)."""
    copies = recordings.groupby("audio")["id"].transform("size")
    units = recordings.assign(copies=copies)[recordings["id"] == recordings["audio"]]
    units = units.iloc[generator.permutation(len(units))]
    while True:
        chosen = _spread(units, shrink(asked, len(units), "utterances"), generator)
        chosen["stratum"] = _name_strata(chosen)
        size = chosen.groupby("stratum")["audio"].transform("size")
        odd = chosen[(size % 2 == 1) & (chosen["stratum"] != "")].drop_duplicates("stratum")
        if odd.empty:
            return chosen
        # Without odd units of several copies, an even number of single ones is left.
        units = units.drop(odd.index[odd["copies"] > 1])


def _spread(units: pd.DataFrame, sizes: tuple[int, int], generator: np.random.Generator) -> pd.DataFrame:
    """Take challenge and auxiliary units in their order, spread over speakers, and add the column `part`."""
    available = units["speaker"].value_counts().sort_index()
    available = available.iloc[generator.permutation(len(available))]  # rounding follows no order of names
    shares = water_fill(available.to_numpy(), sum(sizes), generator)
    quotas = pd.DataFrame(
        {"share": shares, "auxiliary": divide_in_proportion(sizes[1], shares)}, index=available.index
    ).loc[units["speaker"]]  # one row a unit
    rank = units.groupby("speaker").cumcount().to_numpy()  # place of a unit among its speaker's
    part = np.where(rank < quotas["auxiliary"], "", "trained")
    return units.assign(part=part)[rank < quotas["share"].to_numpy()]


def _name_strata(units: pd.DataFrame) -> pd.Series:
    """Name the stratum of every unit; only a pooled one can have an odd number of units."""
    judged = units[units["part"] != ""]
    n_of_speaker = judged.groupby("speaker")["audio"].transform("size")
    stratum = ("speaker " + judged["speaker"]).where(n_of_speaker >= MIN_UNITS_OF_A_STRATUM, "pooled")
    of_one_size = stratum.groupby([stratum, judged["copies"]])
    odd_one = (of_one_size.transform("size") % 2 == 1) & (of_one_size.cumcount() == 0)
    copies = (judged["copies"].astype(str) + " copies, ").where(judged["copies"] > 1, "")
    return (copies + stratum.where(~odd_one, "pooled")).reindex(units.index, fill_value="")
