"""The cluster bootstrap: speakers, not clips, are drawn with replacement.

A drawn speaker counts as a weight; the scores are sorted once, and each replicate is one cumulative sum.
Where every speaker stands on one side only, the sides are drawn separately, as the split was. Two things
differ from the textbook, because with six speakers they matter:

- Of S speakers S − 1 are drawn. The spread of the replicates is then the standard error itself, not
  √((S − 1)/S) of it (McCarthy and Snowden 1985; Rao, Wu and Yue, Survey Methodology 18, 1992).
- Two copies of a speaker who is drawn twice compare as two different speakers would, each as it does with
  all others. Left to themselves they would repeat the comparison within the speaker: where speakers differ
  much more than their clips do, that makes the spread up to a third too large.

`tools/null_coverage.py` counts what this gives.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.evaluation.clusters import number_speakers

CHUNK = 500_000  # elements of a weight matrix held at one go, 2 MB


@dataclass(frozen=True)
class SpeakerDraws:
    """B draws of speakers, to be shared by all scores that are compared on the same units.

    Attributes:
        speaker: (n,) int, the index of each unit's speaker, from 0 to S − 1.
        weights: (B, S) int32, how often each speaker was drawn.
        degrees_of_freedom: S − 1, or S − 2 where every speaker stands on one side.
    """

    speaker: np.ndarray
    weights: np.ndarray
    degrees_of_freedom: int

    @property
    def one_unit_each(self) -> bool:
        """No speaker has a second unit: the units are independent."""
        return len(self.speaker) == self.weights.shape[1]


def draw_speakers(speakers: np.ndarray, members: np.ndarray, n_bootstraps: int, seed: int) -> SpeakerDraws:
    """Draw speakers with replacement, `n_bootstraps` times.

    Args:
        speakers: (n,) str, the speaker of each unit.
        members: (n,) bool.
        n_bootstraps: B.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    speaker, n_speakers = number_speakers(speakers)
    member_share = np.bincount(speaker, weights=members) / np.bincount(speaker)  # (S,)
    strata = [np.arange(n_speakers)]
    if np.isin(member_share, (0.0, 1.0)).all():
        strata = [np.flatnonzero(member_share == side) for side in (0.0, 1.0)]
    weights = np.zeros((n_bootstraps, n_speakers), dtype=np.int32)
    for stratum in strata:
        size = len(stratum)
        weights[:, stratum] = generator.multinomial(max(1, size - 1), np.full(size, 1 / size), n_bootstraps)
    return SpeakerDraws(speaker, weights, n_speakers - len(strata))


def bootstrap_auroc(values: np.ndarray, members: np.ndarray, draws: SpeakerDraws) -> np.ndarray:
    """AUROC of every replicate, ties counted half.

    Args:
        values: (n,) scores.
        members: (n,) bool.
        draws: of the speakers of these n units.

    Returns:
        (B,) float64; NaN for a replicate that drew no member or no non-member.
    """
    pairs = _sort(values, members, draws.speaker)
    rows = max(1, CHUNK // len(values))
    starts = range(0, len(draws.weights), rows)
    return np.concatenate([_weighted_auroc(draws.weights[start : start + rows], pairs) for start in starts])


@dataclass(frozen=True)
class _Pairs:
    """The m × k pairs of a member and a non-member, as far as an AUROC needs them.

    Attributes:
        member_speaker: (m,) int, in the order of the members' scores.
        nonmember_speaker: (k,) int, in the order of the non-members' scores.
        n_below: (m,) int, non-members with a lower score than this member.
        n_not_above: (m,) int, and those with an equal one as well.
        no_ties: the two are the same.
        copy_excess: (S,) pairs within a speaker that the member wins, ties half, beyond what is expected of
            as many pairs of different speakers.
    """

    member_speaker: np.ndarray
    nonmember_speaker: np.ndarray
    n_below: np.ndarray
    n_not_above: np.ndarray
    no_ties: bool
    copy_excess: np.ndarray


def _sort(values: np.ndarray, members: np.ndarray, speaker: np.ndarray) -> _Pairs:
    """Sort once for all replicates; the rest is what copies of a speaker need."""
    order = np.argsort(values, kind="stable")
    values, members, speaker = values[order], members[order], speaker[order]
    n_below = np.searchsorted(values[~members], values[members], side="left")
    n_not_above = np.searchsorted(values[~members], values[members], side="right")
    return _Pairs(
        member_speaker=speaker[members],
        nonmember_speaker=speaker[~members],
        n_below=n_below,
        n_not_above=n_not_above,
        no_ties=np.array_equal(n_below, n_not_above),
        copy_excess=_copy_excess(values, members, speaker),
    )


def _copy_excess(values: np.ndarray, members: np.ndarray, speaker: np.ndarray) -> np.ndarray:
    """Wins within each speaker, less those expected of two speakers alike: (S,).

    The expected share is the AUROC, plus what the speaker's members do better than that against the other
    speakers' non-members, plus what the other speakers' members do better against its non-members.
    """
    own_ranks = pd.Series(values).groupby(speaker).rank().to_numpy()  # (n,) mid-ranks among the speaker's own
    won = np.where(members, _n_beaten(values, values[~members]), _n_beaten(-values, -values[members]))  # (n,)
    n_members = np.bincount(speaker, weights=members)  # (S,)
    n_nonmembers = np.bincount(speaker, weights=~members)
    own_pairs = n_members * n_nonmembers
    own_wins = np.bincount(speaker, weights=own_ranks * members) - n_members * (n_members + 1) / 2
    auroc = won[members].sum() / (n_members.sum() * n_nonmembers.sum())
    expected = np.full(len(own_pairs), auroc)
    for of_side, others in ((members, n_nonmembers), (~members, n_members)):
        wins = np.bincount(speaker, weights=won * of_side) - own_wins
        pairs = np.bincount(speaker, weights=of_side) * (others.sum() - others)
        expected += np.divide(wins, pairs, out=np.full(len(pairs), auroc), where=pairs > 0) - auroc
    return own_wins - own_pairs * np.clip(expected, 0, 1)


def _n_beaten(values: np.ndarray, opponents: np.ndarray) -> np.ndarray:
    """How many of the opponents (sorted either way) have a lower value, ties half: (n,)."""
    opponents = np.sort(opponents)
    below, not_above = (np.searchsorted(opponents, values, side=side) for side in ("left", "right"))
    return (below + not_above) / 2


def _weighted_auroc(weights: np.ndarray, pairs: _Pairs) -> np.ndarray:
    """AUROC of each row of speaker weights (b, S) → (b,)."""
    of_members = np.take(weights, pairs.member_speaker, axis=1)  # (b, m)
    of_nonmembers = np.take(weights, pairs.nonmember_speaker, axis=1)  # (b, k)
    cumulative = np.zeros((len(weights), of_nonmembers.shape[1] + 1), dtype=np.int32)  # weight of the lowest 0, 1, … k
    np.cumsum(of_nonmembers, axis=1, out=cumulative[:, 1:])
    beaten = np.take(cumulative, pairs.n_below, axis=1)  # (b, m) weight of the non-members with lower scores
    beaten += beaten if pairs.no_ties else np.take(cumulative, pairs.n_not_above, axis=1)  # twice, ties once
    beaten *= of_members
    between_copies = weights.astype(np.float64) ** 2 - weights  # (b, S)
    wins = beaten.sum(axis=1, dtype=np.int64) / 2 - between_copies @ pairs.copy_excess
    total = of_members.sum(axis=1, dtype=np.float64) * cumulative[:, -1]
    return np.divide(wins, total, out=np.full(len(weights), np.nan), where=total > 0)
