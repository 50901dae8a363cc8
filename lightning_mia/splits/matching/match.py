"""Match the members and non-members of a predefined split."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.splits.matching.by_duration import match_bins_proportionally, match_pairs, match_tuples
from lightning_mia.splits.matching.by_speaker import equalise_counts, match_by_speaker
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.splits.sampling.recordings import MIN_QUERIES, list_recordings
from lightning_mia.splits.sampling.sizes import MIN_UNITS_PER_CLASS
from lightning_mia.splits.split import Level
from lightning_mia.utilities.errors import InputError

KINDS = {"1": "member", "0": "non-member", "held_back": "held-back", "sibling": "sibling", "": "auxiliary"}
"""Values of the column `member` in words."""

NO_PARTNER = "no recording of similar duration is left to be paired with"
HELD_BACK = "held-back recordings are not evaluated at utterance level"
OTHER_DURATIONS = "the durations of siblings follow those of the kept members"
OTHER_NUMBER = "no more siblings of a speaker are kept than recordings of a member"


def match_recordings(
    table: pd.DataFrame,
    seconds: Mapping[str, float],
    contents: Mapping[str, str],
    settings: Matching,
    level: Level = "utterance",
    unfit: Mapping[str, str] = {},
) -> "MatchedRecordings":
    """Match recordings by duration, speaker and label.

    Member recordings are matched with non-members, and at speaker level held-back ones with the same non-members. At
    utterance level durations are matched across speakers; at speaker level, and with equally many recordings per
    speaker, within pairs of speakers (`match_by_speaker`). Siblings are then matched with the kept members, which stay
    as they are. Auxiliary recordings are kept, and copies follow their first id. Ties are broken by the SHA-256 of seed
    and id, not by the order of the table.

    Matched classes agree more closely than a redraw of the split, so that p-values of statistics that depend on
    duration are conservative.

    Args:
        table: `id`, `speaker` and `member` (1, 0, held_back, sibling, or empty = auxiliary).
        seconds: duration by id.
        contents: SHA-256 of the decoded audio, by id.
        settings: settings of the matching; recordings are not cropped here.
        level: level that the split must support.
        unfit: recordings excluded beforehand, with the reason by id.

    Returns:
        The recordings in the order of `table`, each kept or discarded with a reason.

    Raises:
        InputError: too few recordings or speakers are left.
    """
    rows = table[["id", "speaker", "member"]].reset_index(drop=True)
    rows["seconds"] = rows["id"].map(seconds)
    rows["reason"] = [unfit.get(name, "") for name in rows["id"]]
    MatchedRecordings(rows).check(level, settings.remedy)
    listed = list_recordings(rows[rows["reason"] == ""], contents).set_index("id")
    candidates = listed[(listed["audio"] == listed.index) & (listed["member"] != "")]
    candidates = candidates.loc[_hash_order(candidates.index, settings.seed)]
    candidates = candidates.assign(log_seconds=np.log(candidates["seconds"]), is_member=candidates["member"] != "0")
    is_sibling = candidates["member"] == "sibling"
    reasons = _reasons(candidates[~is_sibling], settings, level)
    is_kept = np.array([reasons.get(name, "") == "" for name in candidates.index], dtype=bool)
    members = candidates[is_kept & (candidates["member"] == "1")]
    reasons |= _match_siblings(candidates[is_sibling], members, settings)
    with_copies = {name: reasons.get(first, "") for name, first in listed["audio"].items()}
    rows["reason"] = [with_copies.get(name, reason) for name, reason in zip(rows["id"], rows["reason"], strict=True)]
    matched = MatchedRecordings(rows)
    matched.check(level, settings.remedy)
    return matched


@dataclass(frozen=True, eq=False)
class MatchedRecordings:
    """Kept and discarded recordings.

    Attributes:
        rows: one row per recording: `id`, `speaker`, `member`, `seconds` (before cropping), and `reason` for
            discarding it ("" if it is kept).
    """

    rows: pd.DataFrame

    @property
    def kept(self) -> list[str]:
        """Ids of the kept recordings."""
        return list(self.rows["id"][self.rows["reason"] == ""])

    @property
    def discarded(self) -> pd.DataFrame:
        """Rows of the discarded recordings."""
        return self.rows[self.rows["reason"] != ""].reset_index(drop=True)

    def check(self, level: Level, remedy: str) -> None:
        """Reject a matching that keeps too little.

        Raises:
            InputError: fewer than 4 member or non-member recordings (at speaker level: speakers) are left, or fewer
                than 4 siblings, if there are any.
        """
        self._check_siblings(remedy)
        unit, units = ("speaker", "speakers") if level == "speaker" else ("id", "recordings")
        classes = [self.rows[self.rows["member"] == kind] for kind in ("1", "0")]
        n_kept = [recordings[recordings["reason"] == ""][unit].nunique() for recordings in classes]
        if min(n_kept) >= MIN_UNITS_PER_CLASS:
            return
        counts = [f"{n} of {recordings[unit].nunique()}" for n, recordings in zip(n_kept, classes, strict=True)]
        lengths = [_central_range(recordings["seconds"]) for recordings in classes]
        raise InputError(
            f"Matching keeps {counts[0]} member and {counts[1]} non-member {units}, but at least "
            f"{MIN_UNITS_PER_CLASS} of each are needed (nine in ten member recordings last {lengths[0]}, non-member "
            f"recordings {lengths[1]}); {remedy}"
        )

    def _check_siblings(self, remedy: str) -> None:
        siblings = self.rows[self.rows["member"] == "sibling"]
        n_kept = int((siblings["reason"] == "").sum())
        if len(siblings) and n_kept < MIN_UNITS_PER_CLASS:
            raise InputError(
                f"Matching keeps {n_kept} of {len(siblings)} siblings, but a sibling control needs at least "
                f"{MIN_UNITS_PER_CLASS}; {remedy}"
            )

    def notes(self, steps: str) -> tuple[str, ...]:
        """Summarise in two sentences what was kept and discarded.

        Args:
            steps: description of the matching.
        """
        kinds = {kind: name for kind, name in KINDS.items() if (self.rows["member"] == kind).any()}
        kept = [self._kept(kind, name) for kind, name in kinds.items()]
        discarded = [self._discarded(kind, name) for kind, name in kinds.items()]
        return (
            f"Matching ({steps}) kept {'; '.join(kept)}.",
            f"Discarded by matching: {'; '.join(part for part in discarded if part) or 'nothing'}.",
        )

    def _kept(self, kind: str, name: str) -> str:
        before = self.rows[self.rows["member"] == kind]
        after = before[before["reason"] == ""]
        return (
            f"{len(after)} of {len(before)} {name} recordings ({after['speaker'].nunique()} of "
            f"{before['speaker'].nunique()} speakers, {_time(after['seconds'].sum())} of "
            f"{_time(before['seconds'].sum())}, median {after['seconds'].median():.2f} s instead of "
            f"{before['seconds'].median():.2f} s)"
        )

    def _discarded(self, kind: str, name: str) -> str:
        rows = self.discarded[self.discarded["member"] == kind]
        if rows.empty:
            return ""
        reasons = [f"{count} because {reason}" for reason, count in rows["reason"].value_counts().items()]
        return f"{len(rows)} {name} recordings ({_time(rows['seconds'].sum())}): {', '.join(reasons)}"


def _hash_order(ids: pd.Index, seed: int) -> list[str]:
    """Order ids by a hash of id and seed."""
    return sorted(ids, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())


def _reasons(candidates: pd.DataFrame, settings: Matching, level: Level) -> dict[str, str]:
    """Return the reason for discarding each candidate, by id."""
    minimum = MIN_QUERIES if level == "speaker" else 1
    if settings.duration == "none":
        return equalise_counts(candidates, minimum) if settings.utterances_per_speaker else {}
    reasons = dict.fromkeys(candidates.index, HELD_BACK)
    if level == "utterance":
        candidates = candidates[candidates["member"] != "held_back"]
    if level == "speaker" or settings.utterances_per_speaker:
        return reasons | match_by_speaker(candidates, settings, minimum)
    return reasons | _match_across_speakers(candidates, settings)


def _match_across_speakers(candidates: pd.DataFrame, settings: Matching) -> dict[str, str]:
    classes = [candidates[candidates["is_member"]], candidates[~candidates["is_member"]]]
    members, nonmembers = (recordings["log_seconds"].to_numpy() for recordings in classes)
    kept = (
        match_tuples([members, nonmembers], settings.max_log_difference).T
        if settings.duration == "nearest"
        else match_bins_proportionally(members, nonmembers, settings.max_log_difference)
    )
    kept_ids = [
        name for recordings, positions in zip(classes, kept, strict=True) for name in recordings.index[positions]
    ]
    return dict.fromkeys(candidates.index, NO_PARTNER) | dict.fromkeys(kept_ids, "")


def _match_siblings(siblings: pd.DataFrame, members: pd.DataFrame, settings: Matching) -> dict[str, str]:
    """Return the reason for discarding each sibling, by id.

    As many siblings as possible are kept whose durations are quantiles of the members' durations: nineteen in twenty of
    these quantiles have a sibling within the tolerance.
    """
    reasons = dict.fromkeys(siblings.index, "")
    if settings.utterances_per_speaker:
        rank = siblings.groupby("speaker").cumcount()
        surplus = siblings.index[rank >= members["speaker"].value_counts().max()]
        reasons |= dict.fromkeys(surplus, OTHER_NUMBER)
        siblings = siblings.drop(surplus)
    if settings.duration == "none" or siblings.empty or members.empty:
        return reasons
    log_seconds, number = siblings["log_seconds"].to_numpy(), len(siblings)
    while True:
        shares = (np.arange(number) + 0.5) / number
        quantiles = np.quantile(members["log_seconds"], shares, method="inverted_cdf")
        pairs = match_pairs(log_seconds, quantiles, settings.max_log_difference)
        if len(pairs) >= 0.95 * number:
            break
        number = max(len(pairs), int(0.9 * number))
    return reasons | dict.fromkeys(siblings.index, OTHER_DURATIONS) | dict.fromkeys(siblings.index[pairs[:, 0]], "")


def _central_range(seconds: pd.Series) -> str:
    """Describe the range between the 5th and the 95th percentile."""
    return "nothing" if seconds.empty else f"{seconds.quantile(0.05):.2f} to {seconds.quantile(0.95):.2f} s"


def _time(seconds: float) -> str:
    """Format a length of time in a suitable unit.

    >>> _time(90), _time(1500), _time(9000)
    ('90 s', '25 min', '2.5 h')
    """
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
