"""Match recordings within pairs of speakers."""

from collections.abc import Iterable, Sequence

import pandas as pd

from lightning_mia.splits.matching.by_duration import match_bins, match_pairs, match_tuples
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.splits.sampling.recordings import EXCLUDE_ONE_IN

NO_SPEAKER = "no speaker is left to be paired with"
NO_PARTNER = "no recording of similar duration is left of the paired speaker"
TOO_FEW = "too few recordings are left of the speaker"
TOO_MANY = "equally many recordings of every speaker are kept"

Unit = Sequence[pd.Index]
"""Recordings of a speaker or of a pair of speakers: ids of each kind (1, 0, held_back)."""


def match_by_speaker(candidates: pd.DataFrame, settings: Matching, minimum: int) -> dict[str, str]:
    """Pair speakers, and match durations within the pairs.

    Speakers are paired by mean log duration; speakers with both labels are paired with themselves. Matching recordings
    without regard to speakers would equalise the durations of recordings, but not of speakers: a few member speakers
    with many matched recordings, many non-member speakers with few.

    Args:
        candidates: recordings by id, in random order: `speaker`, `member` (1, 0 or held_back), `log_seconds`. If there
            are held-back recordings, a non-member recording is matched with one of each kind.
        settings: settings of the matching.
        minimum: recordings of each kind that a speaker needs.

    Returns:
        Reason for discarding each recording, by id; "" if it is kept.
    """
    member_kinds = [kind for kind in ("1", "held_back") if (candidates["member"] == kind).any()]
    reasons = dict.fromkeys(candidates.index, TOO_FEW)
    groups = _groups(candidates)
    members = _eligible_speakers(candidates, groups, member_kinds, minimum)
    nonmembers = _eligible_speakers(candidates, groups, ["0"], minimum)
    for speakers, kinds in ((members, member_kinds), (nonmembers, ["0"])):
        reasons |= {name: NO_SPEAKER for speaker in speakers for kind in kinds for name in groups[speaker, kind].index}
    match = match_tuples if settings.duration == "nearest" else match_bins
    pairs = []
    for member, nonmember in _pair_speakers(members, nonmembers, candidates):
        durations = [*(groups[member, kind] for kind in member_kinds), groups[nonmember, "0"]]
        reasons |= {name: NO_PARTNER for kind in durations for name in kind.index}
        chosen = match([kind.to_numpy() for kind in durations], settings.max_log_difference)  # (tuples, kinds)
        pairs.append([kind.index[column] for kind, column in zip(durations, chosen.T, strict=True)])
    maximum = _common_number([pairs], minimum) if settings.utterances_per_speaker else None
    return reasons | _keep(pairs, maximum or minimum, maximum)


def equalise_counts(candidates: pd.DataFrame, minimum: int) -> dict[str, str]:
    """Keep equally many recordings of every speaker, of any duration.

    The number is the largest that nine in ten of the member and of the non-member speakers have; speakers with fewer
    are excluded. One number for all keeps unequal numbers of member and non-member speakers comparable.

    Args:
        candidates: recordings by id, in random order: `speaker`, `member`, `is_member`.
        minimum: recordings of each kind that a speaker needs.

    Returns:
        Reason for discarding each recording, by id; "" if it is kept.
    """
    classes: list[list[Unit]] = []
    for _, recordings in candidates.groupby("is_member"):
        speakers = recordings.groupby("speaker")
        classes.append([[kind.index for _, kind in rows.groupby("member")] for _, rows in speakers])
    number = _common_number(classes, minimum)
    return _keep([unit for units in classes for unit in units], number, number)


def _groups(candidates: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """Return log durations per speaker and kind of recording."""
    groups = candidates.groupby(["speaker", "member"], sort=False)["log_seconds"]
    return {(str(speaker), str(kind)): durations for (speaker, kind), durations in groups}


def _eligible_speakers(
    candidates: pd.DataFrame, groups: dict[tuple[str, str], pd.Series], kinds: list[str], minimum: int
) -> list[str]:
    """Return speakers with enough recordings of each kind."""
    return [
        speaker
        for speaker in candidates["speaker"].unique()
        if all(len(groups.get((speaker, kind), ())) >= minimum for kind in kinds)
    ]


def _pair_speakers(members: list[str], nonmembers: list[str], candidates: pd.DataFrame) -> list[tuple[str, str]]:
    """Pair speakers by mean log duration.

    Speakers with both labels are paired with themselves.
    """
    both = [speaker for speaker in members if speaker in set(nonmembers)]
    members, nonmembers = (
        [speaker for speaker in speakers if speaker not in set(both)] for speakers in (members, nonmembers)
    )
    means = candidates.groupby("speaker")["log_seconds"].mean()
    pairs = match_pairs(means[members].to_numpy(), means[nonmembers].to_numpy())
    return [
        *((speaker, speaker) for speaker in both),
        *((members[first], nonmembers[second]) for first, second in pairs),
    ]


def _common_number(classes: Iterable[Sequence[Unit]], minimum: int) -> int:
    """Find the largest number that 90 % of units reach.

    It counts recordings of each kind, and holds for every class.
    """
    sizes = [sorted(min(map(len, unit)) for unit in units) for units in classes]
    return max(minimum, min((counts[len(counts) // EXCLUDE_ONE_IN] for counts in sizes if counts), default=minimum))


def _keep(units: Iterable[Unit], minimum: int, maximum: int | None) -> dict[str, str]:
    """Keep up to `maximum` recordings of each kind.

    Units with fewer than `minimum` of a kind are discarded.
    """
    reasons: dict[str, str] = {}
    for unit in units:
        sufficient = min(map(len, unit)) >= minimum
        for ids in unit:
            reasons |= dict.fromkeys(ids[:maximum], "" if sufficient else TOO_FEW)
            reasons |= dict.fromkeys(ids[maximum:] if maximum else (), TOO_MANY if sufficient else TOO_FEW)
    return reasons
