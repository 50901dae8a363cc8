"""Tests of members and non-members from different corpora."""

import pandas as pd
import pytest

from lightning_mia.corpora.base import Corpus
from lightning_mia.corpora.two_sources import TwoSources
from lightning_mia.utilities.errors import InputError


class Listed(Corpus):
    """Corpus of recordings named "speaker/number"."""

    def __init__(self, names: str, **columns: str) -> None:
        self.names, self.columns = names.split(), columns

    def table(self) -> pd.DataFrame:
        rows = [{"id": name, "path": f"/{name}.wav", "speaker": name.split("/")[0]} for name in self.names]
        return pd.DataFrame(rows).assign(**self.columns)


def by_id(corpus: Corpus) -> dict[str, tuple[str, str]]:
    table = corpus.table()
    return {name: (speaker, member) for name, speaker, member in table[["id", "speaker", "member"]].to_numpy()}


def test_membership_follows_from_the_source() -> None:
    corpus = TwoSources(Listed("a/1 a/2"), Listed("b/1"), held_back=Listed("a/3"), auxiliary=Listed("x/1"))
    assert by_id(corpus) == {
        "a/1": ("a", "1"),
        "a/2": ("a", "1"),
        "b/1": ("b", "0"),
        "a/3": ("a", "held_back"),
        "x/1": ("x", ""),
    }


def test_siblings_are_of_the_members_source() -> None:
    siblings = Listed("a/3 s/1")
    assert by_id(TwoSources(Listed("a/1"), Listed("b/1"), siblings=siblings)) == {
        "a/1": ("a", "1"),
        "b/1": ("b", "0"),
        "a/3": ("a", "sibling"),
        "s/1": ("s", "sibling"),
    }
    renamed = by_id(TwoSources(Listed("a/1"), Listed("a/2 b/1"), same_speakers="rename", siblings=siblings))
    assert {name: speaker for name, (speaker, _) in renamed.items()} == {
        "a/1": "members/a",
        "a/2": "nonmembers/a",
        "b/1": "b",
        "a/3": "members/a",
        "s/1": "s",
    }
    with pytest.raises(InputError, match=r"share 1 speaker\(s\): s;"):
        TwoSources(Listed("a/1"), Listed("s/2"), siblings=siblings).table()


def test_columns_of_one_source_are_empty_for_the_other() -> None:
    table = TwoSources(Listed("a/1", text="hello", duration="1.5"), Listed("b/1", session="s")).table()
    assert table["text"].tolist() == ["hello", ""]
    assert table["session"].tolist() == ["", "s"]
    assert table["duration"].tolist()[0] == 1.5
    assert table["duration"].isna().tolist() == [False, True]


def test_only_colliding_ids_are_prefixed() -> None:
    corpus = TwoSources(Listed("a/1 a/2"), Listed("a/1 b/1"), auxiliary=Listed("b/1 x/1"), same_speakers="keep")
    assert list(by_id(corpus)) == ["members/a/1", "a/2", "nonmembers/a/1", "nonmembers/b/1", "auxiliary/b/1", "x/1"]


def test_shared_speakers_are_rejected_by_name() -> None:
    with pytest.raises(InputError) as error:
        TwoSources(Listed("a/1 b/1 c/1"), Listed("b/2 c/2 d/1")).table()
    assert str(error.value) == (
        "Members and non-members share 2 speaker(s): b; c; choose sources that share none, or set "
        "same_speakers to keep (the same people) or rename (different people)"
    )
    with pytest.raises(InputError, match=r"share 1 speaker\(s\): h;"):
        TwoSources(Listed("a/1"), Listed("h/1"), held_back=Listed("h/2")).table()


def test_shared_speakers_may_be_the_same_people() -> None:
    corpus = TwoSources(Listed("a/1 b/1"), Listed("b/2"), same_speakers="keep")
    assert by_id(corpus) == {"a/1": ("a", "1"), "b/1": ("b", "1"), "b/2": ("b", "0")}


def test_shared_speakers_may_be_other_people() -> None:
    corpus = TwoSources(Listed("a/1 b/1"), Listed("b/2 c/1"), Listed("b/3"), Listed("a/4 d/1"), same_speakers="rename")
    assert {name: speaker for name, (speaker, _) in by_id(corpus).items()} == {
        "a/1": "members/a",
        "b/1": "members/b",
        "b/2": "nonmembers/b",
        "c/1": "c",
        "b/3": "members/b",  # held back: a recording of the members' speaker
        "a/4": "auxiliary/a",
        "d/1": "d",
    }


def test_auxiliary_speakers_may_be_members_or_nonmembers() -> None:
    assert "a/9" in by_id(TwoSources(Listed("a/1"), Listed("b/1"), auxiliary=Listed("a/9 b/9")))


def test_a_source_with_a_member_column_is_rejected() -> None:
    with pytest.raises(InputError, match=r"nonmembers: this corpus has a column member; use it alone"):
        TwoSources(Listed("a/1"), Listed("b/1", member="1")).table()
