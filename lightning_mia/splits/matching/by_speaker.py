"""Matching speaker by speaker: like durations within pairs of speakers, and equally many recordings of everybody."""

from collections.abc import Iterable, Sequence

import pandas as pd

from lightning_mia.splits.matching.by_duration import binned_tuples, nearest_pairs, nearest_tuples
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.splits.sampling.recordings import ONE_LEFT_OUT_OF

NO_SPEAKER = "no speaker is left on the other side to be paired with"
NO_PARTNER = "no recording of a like duration is left of the paired speaker"
FEW = "too few recordings are left of the speaker"
TOO_MANY = "equally many recordings of every speaker are kept"

Unit = Sequence[pd.Index]
"""Recordings of a speaker, or of a pair of speakers, that are kept or discarded alike: ids of each kind."""


def match_by_speaker(judged: pd.DataFrame, settings: Matching, least: int) -> dict[str, str]:
    """Pair every speaker of one side with one of the other, and match durations within the pairs.

    Pairs have the closest mean log durations; who stands on both sides is paired with themself. Were recordings
    matched whoever speaks, the sides would agree in the durations of recordings but not of speakers: a few
    speakers with many fitting recordings here, many speakers with a few there.

    Args:
        judged: recordings by id, in a random order: `speaker`, `member` (1, 0 or held_back), `log_seconds`. Where
            there are held-back recordings, a non-member recording is matched with one of either kind.
        settings: of the matching.
        least: recordings of each kind that a speaker needs.

    Returns:
        Why each recording is discarded, by id; "" where it is kept.
    """
    of_members = [kind for kind in ("1", "held_back") if (judged["member"] == kind).any()]
    reasons = dict.fromkeys(judged.index, FEW)
    groups = _groups(judged)
    members = _rich_speakers(judged, groups, of_members, least)
    nonmembers = _rich_speakers(judged, groups, ["0"], least)
    for speakers, kinds in ((members, of_members), (nonmembers, ["0"])):
        reasons |= {name: NO_SPEAKER for speaker in speakers for kind in kinds for name in groups[speaker, kind].index}
    match = nearest_tuples if settings.duration == "nearest" else binned_tuples
    pairs = []
    for member, nonmember in _pair_speakers(members, nonmembers, judged):
        logs = [*(groups[member, kind] for kind in of_members), groups[nonmember, "0"]]
        reasons |= {name: NO_PARTNER for kind in logs for name in kind.index}
        chosen = match([kind.to_numpy() for kind in logs], settings.widest)  # (tuples, kinds)
        pairs.append([kind.index[column] for kind, column in zip(logs, chosen.T, strict=True)])
    most = _common_number([pairs], least) if settings.utterances_per_speaker else None
    return reasons | _keep(pairs, most or least, most)


def equally_many(judged: pd.DataFrame, least: int) -> dict[str, str]:
    """Keep equally many recordings of every speaker, whatever their durations.

    The number is the largest that nine in ten of the speakers of either side have; who has fewer is left out. It is
    one number for all, so that the sides agree also where they have unequally many speakers.

    Args:
        judged: recordings by id, in a random order: `speaker`, `member`, `is_member`.
        least: recordings of each kind that a speaker needs.

    Returns:
        As `match_by_speaker`.
    """
    sides: list[list[Unit]] = []
    for _, side in judged.groupby("is_member"):
        speakers = side.groupby("speaker")
        sides.append([[kind.index for _, kind in rows.groupby("member")] for _, rows in speakers])
    number = _common_number(sides, least)
    return _keep([unit for side in sides for unit in side], number, number)


def _groups(judged: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """Log durations by id, of each speaker and kind of recording."""
    groups = judged.groupby(["speaker", "member"], sort=False)["log_seconds"]
    return {(str(speaker), str(kind)): logs for (speaker, kind), logs in groups}


def _rich_speakers(
    judged: pd.DataFrame, groups: dict[tuple[str, str], pd.Series], kinds: list[str], least: int
) -> list[str]:
    """Speakers with enough recordings of each of these kinds, in a random order."""
    return [
        speaker
        for speaker in judged["speaker"].unique()
        if all(len(groups.get((speaker, kind), ())) >= least for kind in kinds)
    ]


def _pair_speakers(members: list[str], nonmembers: list[str], judged: pd.DataFrame) -> list[tuple[str, str]]:
    """Pair who stands on both sides with themself, and others by mean log duration, the closest first."""
    both = [speaker for speaker in members if speaker in set(nonmembers)]
    members, nonmembers = ([one for one in side if one not in set(both)] for side in (members, nonmembers))
    means = judged.groupby("speaker")["log_seconds"].mean()
    pairs = nearest_pairs(means[members].to_numpy(), means[nonmembers].to_numpy())
    return [*((one, one) for one in both), *((members[first], nonmembers[second]) for first, second in pairs)]


def _common_number(sides: Iterable[Sequence[Unit]], least: int) -> int:
    """The largest number of recordings of a kind that nine in ten of the units of every side have."""
    sizes = [sorted(min(map(len, unit)) for unit in side) for side in sides]
    return max(least, min((side[len(side) // ONE_LEFT_OUT_OF] for side in sizes if side), default=least))


def _keep(units: Iterable[Unit], least: int, most: int | None) -> dict[str, str]:
    """Keep the first `most` recordings (None: all) of every kind of a unit that has at least `least` of each."""
    reasons: dict[str, str] = {}
    for unit in units:
        enough = min(map(len, unit)) >= least
        for ids in unit:
            reasons |= dict.fromkeys(ids[:most], "" if enough else FEW)
            reasons |= dict.fromkeys(ids[most:] if most else (), TOO_MANY if enough else FEW)
    return reasons
