"""The cluster bootstrap: speakers, not clips, are drawn with replacement.

A drawn speaker counts as a weight; the scores are sorted once, and all replicates are counted in one pass.
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
from functools import lru_cache

import numpy as np
import pandas as pd

from lightning_mia.evaluation.statistics.clusters import number_speakers

BLOCK = 64  # units compared at one go: their weights in a thousand draws, 256 kB, stay in a core's cache


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
    """Draw speakers with replacement, `n_bootstraps` times. The last draws are remembered: all attacks share them.

    Args:
        speakers: (n,) str, the speaker of each unit.
        members: (n,) bool.
        n_bootstraps: B.
        seed: of the draws.
    """
    names = np.asarray(speakers, dtype=str)
    return _drawn(names.tobytes(), names.dtype.str, np.asarray(members, dtype=bool).tobytes(), n_bootstraps, seed)


@lru_cache(maxsize=2)
def _drawn(speaker_names: bytes, type_of_names: str, member_flags: bytes, n_bootstraps: int, seed: int) -> SpeakerDraws:
    speakers = np.frombuffer(speaker_names, dtype=type_of_names)
    members = np.frombuffer(member_flags, dtype=bool)
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
    weights.flags.writeable = speaker.flags.writeable = False
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
    # Two orders of the units by rising score: where members are tied with non-members, they lose in one and win in
    # the other, which is half a win each.
    losing, winning = np.lexsort((~members, values)), np.lexsort((members, values))
    orders = [losing] if np.array_equal(losing, winning) else [losing, winning]
    by_speaker = np.ascontiguousarray(draws.weights.T, dtype=_exact_type(draws.weights))  # (S, B)
    won = [_weighted_wins(by_speaker, draws.speaker[order], members[order]) for order in orders]  # each (B,)
    copy_excess = _copy_excess(values[losing], members[losing], draws.speaker[losing])
    weights = draws.weights.astype(np.float64)
    wins = np.mean(won, axis=0) - (weights**2 - weights) @ copy_excess
    n_members, n_nonmembers = (np.bincount(draws.speaker, weights=side) for side in (members, ~members))  # each (S,)
    total = (weights @ n_members) * (weights @ n_nonmembers)
    return np.divide(wins, total, out=np.full(len(weights), np.nan), where=total > 0)


def _exact_type(weights: np.ndarray) -> type[np.floating]:
    """Type in which `BLOCK` units' weighted wins are whole numbers without rounding: float32 where that will do."""
    return np.float32 if (BLOCK * int(weights.max())) ** 2 <= 2**24 else np.float64


def _weighted_wins(by_speaker: np.ndarray, speaker: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Pairs that the member wins, each counted as often as its two speakers were drawn.

    Within a block of units every member meets every non-member before it in one matrix product, for all draws at a
    time; what comes from earlier blocks is a running sum.

    Args:
        by_speaker: (S, B) weights of the speakers.
        speaker: (n,) int, the speaker of each unit, in the order of the scores.
        members: (n,) bool, in that order.

    Returns:
        (B,) float64, whole numbers.
    """
    wins, below = np.zeros((2, by_speaker.shape[1]))  # (B,) each; below: weight of the non-members so far
    starts = np.arange(BLOCK, len(speaker), BLOCK)
    for units, others in zip(*(_in_blocks(side, starts) for side in (members, ~members)), strict=True):
        of_members, of_nonmembers = (np.take(by_speaker, speaker[side], axis=0) for side in (units, others))
        beaten = (others < units[:, None]).astype(by_speaker.dtype) @ of_nonmembers  # (m, B)
        wins += below * of_members.sum(axis=0) + np.einsum("mb,mb->b", of_members, beaten)
        below += of_nonmembers.sum(axis=0)
    return wins


def _in_blocks(side: np.ndarray, starts: np.ndarray) -> list[np.ndarray]:
    """Places of the units of a side (n,) bool, cut where blocks start."""
    places = np.flatnonzero(side)
    return np.split(places, np.searchsorted(places, starts))


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
