"""Members from one corpus, non-members from another."""

from typing import Literal

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.utilities.errors import InputError, list_first

SameSpeakers = Literal["error", "keep", "rename"]


class TwoSources(Corpus):
    """A predefined split: members from one corpus, non-members from another.

    Recordings that were not drawn from one pool differ in more than membership. Match them (`data.matching`) and
    consult the blind baseline. Ids that occur in several sources are prefixed: `members/0001`.

    Example:
        >>> from lightning_mia.corpora import VCTK, LibriSpeech
        >>> corpus = TwoSources(members=LibriSpeech("corpora"), nonmembers=VCTK("corpora"))
        >>> corpus.same_speakers
        'error'
    """

    def __init__(
        self,
        members: Corpus,
        nonmembers: Corpus,
        held_back: Corpus | None = None,
        auxiliary: Corpus | None = None,
        same_speakers: SameSpeakers = "error",
        siblings: Corpus | None = None,
    ) -> None:
        """Specify the sources.

        Args:
            members: recordings that the model was trained on.
            nonmembers: recordings that it was not trained on.
            held_back: recordings of the members' speakers that it was not trained on.
            auxiliary: the adversary's own recordings, in no training set and not evaluated.
            same_speakers: what to do with speaker names that occur among members and non-members: raise an `error`;
                `keep` them as the same speaker, which precludes the speaker level; or `rename` them by their source,
                if the corpora number their speakers independently.
            siblings: recordings of the members' source that it was not trained on, such as an unused part of the same
                corpus; for the sibling control. Their speakers may be members.
        """
        self.members = members
        self.nonmembers = nonmembers
        self.held_back = held_back
        self.auxiliary = auxiliary
        self.same_speakers = same_speakers
        self.siblings = siblings

    def table(self) -> pd.DataFrame:
        """Combine the tables of all sources."""
        sources = {"members": (self.members, "1"), "nonmembers": (self.nonmembers, "0")}
        if self.held_back:
            sources["held_back"] = self.held_back, "held_back"
        if self.siblings:
            sources["siblings"] = self.siblings, "sibling"
        if self.auxiliary:
            sources["auxiliary"] = self.auxiliary, ""
        tables = [_source_table(corpus, name, value) for name, (corpus, value) in sources.items()]
        table = pd.concat(tables, ignore_index=True)
        table["id"] = _unique_names(table["id"], table["source"])
        if self.same_speakers == "rename":  # held-back recordings and siblings are of the members' source
            one_source = dict.fromkeys(["held_back", "siblings"], "members")
            table["speaker"] = _unique_names(table["speaker"], table["source"].replace(one_source))
        elif self.same_speakers == "error":
            _check_speakers(table)
        return check_table(table.drop(columns="source"), " + ".join(sources))


def _source_table(corpus: Corpus, source: str, value: str) -> pd.DataFrame:
    """Return one source's table, with `source` and `member`."""
    table = corpus.table()
    if "member" in table:
        raise InputError(
            f"{source}: this corpus has a column member; use it alone, or remove the column: here the source decides "
            "which recordings are members"
        )
    return table.assign(source=source, member=value)


def _unique_names(names: pd.Series, sources: pd.Series) -> pd.Series:
    """Prefix names that occur in several sources."""
    shared = sources.groupby(names).transform("nunique") > 1
    return names.where(~shared, sources + "/" + names)


def _check_speakers(table: pd.DataFrame) -> None:
    """Reject speaker names that occur among members (or siblings) and non-members."""
    evaluated = table[table["member"] != ""]
    n_labels = (evaluated["member"] == "0").groupby(evaluated["speaker"]).nunique()
    shared = list(n_labels.index[n_labels > 1])
    if shared:
        raise InputError(
            f"Members and non-members share {len(shared)} speaker(s): {list_first(shared)}; choose sources that share "
            "none, or set same_speakers to keep (the same people) or rename (different people)"
        )
