"""Members from one corpus and non-members from another: the split that an auditor has to make do with."""

from typing import Literal

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.utilities.errors import InputError, list_first

SameSpeakers = Literal["error", "keep", "rename"]


class TwoSources(Corpus):
    """A ready-made split of several corpora: one of members, one of non-members, and perhaps others.

    Recordings that were not drawn from one pool differ in more than membership. Match them (`data.matching`) and see
    what the blind control says. An id that stands in several sources gets its source's name in front:
    `members/0001`.
    """

    def __init__(
        self,
        members: Corpus,
        nonmembers: Corpus,
        held_back: Corpus | None = None,
        auxiliary: Corpus | None = None,
        same_speakers: SameSpeakers = "error",
    ) -> None:
        """Name the sources.

        Args:
            members: recordings that the model was trained on.
            nonmembers: recordings that it was not trained on.
            held_back: recordings of the members' speakers that it was not trained on.
            auxiliary: the adversary's own recordings: in no model's training set, never judged.
            same_speakers: what a speaker is whose name stands among members and non-members: an `error`; one and the
                same person (`keep`), for whom there is no speaker level; or another person, because the corpora number
                their speakers independently (`rename`: such names get their source's name in front).
        """
        self.members = members
        self.nonmembers = nonmembers
        self.held_back = held_back
        self.auxiliary = auxiliary
        self.same_speakers = same_speakers

    def table(self) -> pd.DataFrame:
        """Read all sources; nothing is decoded."""
        sources = {"members": (self.members, "1"), "nonmembers": (self.nonmembers, "0")}
        if self.held_back:
            sources["held_back"] = self.held_back, "held_back"
        if self.auxiliary:
            sources["auxiliary"] = self.auxiliary, ""
        tables = [_read(corpus, name, value) for name, (corpus, value) in sources.items()]
        table = pd.concat(tables, ignore_index=True)
        table["id"] = _told_apart(table["id"], table["source"])
        if self.same_speakers == "rename":  # held-back recordings are of the members' speakers
            table["speaker"] = _told_apart(table["speaker"], table["source"].replace("held_back", "members"))
        elif self.same_speakers == "error":
            _refuse_same_speakers(table)
        return check_table(table.drop(columns="source"), " + ".join(sources))


def _read(corpus: Corpus, source: str, value: str) -> pd.DataFrame:
    """The table of one source, with the columns `source` and `member`."""
    table = corpus.table()
    if "member" in table:
        raise InputError(
            f"{source}: this corpus has a column member of its own; use it alone, or remove the column: here the "
            "source says who is a member"
        )
    return table.assign(source=source, member=value)


def _told_apart(names: pd.Series, sources: pd.Series) -> pd.Series:
    """Put the source in front of names that stand in several sources."""
    shared = sources.groupby(names).transform("nunique") > 1
    return names.where(~shared, sources + "/" + names)


def _refuse_same_speakers(table: pd.DataFrame) -> None:
    judged = table[table["member"] != ""]
    sides = (judged["member"] == "0").groupby(judged["speaker"]).nunique()
    both = list(sides.index[sides > 1])
    if both:
        raise InputError(
            f"Members and non-members share {len(both)} speaker(s): {list_first(both)}; choose sources that share "
            "none, or say who they are by same_speakers: keep (the same people) or rename (other people)"
        )
