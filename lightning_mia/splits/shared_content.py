"""Recordings that members and non-members share in all but name.

Exact copies stay on one side. Copies that differ in level, offset or codec, and other readings of the same text, need
not: they are counted here.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.corpora.audio.near_duplicates import near_duplicates
from lightning_mia.splits.split import Split

N_NAMED = 3


@dataclass(frozen=True)
class SharedContent:
    """Members and other recordings of the same text, or nearly the same audio.

    Attributes:
        others: what the members are compared with: "non-member" or "sibling".
        members: evaluated recordings of member units that have a text, and those whose text is among the others'.
        nonmembers: the same of the others.
        pairs: a member and another recording with nearly the same audio, by id.

    Example:
        >>> shared = SharedContent("non-member", (200, 12), (200, 10), (("a01", "b17"),))
        >>> shared.notes()[0].split(". ")[0]
        '1 member has nearly the same audio as a non-member (a01 ~ b17)'
    """

    others: str
    members: tuple[int, int]
    nonmembers: tuple[int, int]
    pairs: tuple[tuple[str, str], ...]

    def notes(self) -> tuple[str, ...]:
        """Return sentences for the report; none without shared content."""
        return tuple(filter(None, (self._audio_note(), self._text_note())))

    def _audio_note(self) -> str:
        if not self.pairs:
            return ""
        n_members = len({member for member, _ in self.pairs})
        named = ", ".join(f"{member} ~ {other}" for member, other in self.pairs[:N_NAMED])
        more = ", …" if len(self.pairs) > N_NAMED else ""
        have, they = ("member has", "It counts") if n_members == 1 else ("members have", "They count")
        return (
            f"{n_members} {have} nearly the same audio as a {self.others} ({named}{more}). {they} as both, which "
            "lowers every AUROC: remove one of each pair."
        )

    def _text_note(self) -> str:
        (n_members, n_shared), (n_others, n_shared_others) = self.members, self.nonmembers
        if not n_shared:
            return ""
        return (
            f"The same words are on both sides: {n_shared} of {n_members} member recordings have the text of a "
            f"{self.others}, and {n_shared_others} of {n_others} {self.others} recordings that of a member. Words that "
            "a model learned do not tell such recordings apart."
        )


def shared_content(split: Split, audio: AudioCache, progress: bool = True) -> tuple[SharedContent, ...]:
    """Compare members with non-members, and with siblings if there are any.

    Args:
        split: recordings to compare; copies are compared once.
        audio: decoded audio and texts.
        progress: show a progress bar.
    """
    rows = split.table[split.table["id"] == split.table["audio"]]
    by_role = rows.groupby("role")["id"].agg(list).to_dict()
    members = [*by_role.get("member", []), *by_role.get("held_back", [])]
    others = {"non-member": by_role.get("nonmember", []), "sibling": by_role.get("sibling", [])}
    texts = {name: normalise(text) for name, text in audio.texts.items()}
    return tuple(
        SharedContent(
            name,
            _count_shared(members, ids, texts),
            _count_shared(ids, members, texts),
            tuple(near_duplicates(audio, members, ids, progress)),
        )
        for name, ids in others.items()
        if ids
    )


def shared_content_notes(split: Split, audio: AudioCache) -> tuple[str, ...]:
    """Return what members share with others, in sentences for the report."""
    return tuple(note for shared in shared_content(split, audio) for note in shared.notes())


def normalise(text: str) -> str:
    """Reduce a transcript to its words, without case and punctuation.

    >>> normalise("  Don't - stop!"), normalise("DONT STOP")
    ('dont stop', 'dont stop')
    """
    letters = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join("".join(c for c in letters if unicodedata.category(c)[0] not in "PSC" or c.isspace()).split())


def _count_shared(ids: Sequence[str], others: Sequence[str], texts: Mapping[str, str]) -> tuple[int, int]:
    """Count the recordings with a text, and those whose text is among the others'."""
    known = {texts.get(name, "") for name in others} - {""}
    with_text = [texts[name] for name in ids if texts.get(name)]
    return len(with_text), sum(text in known for text in with_text)
