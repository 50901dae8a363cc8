"""Cluster bootstrap of the AUROC over speakers.

Speakers, not recordings, are drawn with replacement. The number of times that a speaker is drawn is a weight; the
scores are sorted once, and all replicates are counted in one pass. If every speaker has only members or only
non-members, the two groups of speakers are drawn separately, like the split. Two details differ from the textbook,
because they matter with six speakers:

- Of S speakers, S − 1 are drawn. The standard deviation of the replicates is then the standard error itself, not
  √((S − 1)/S) of it (McCarthy and Snowden 1985; Rao, Wu and Yue, Survey Methodology 18, 1992).
- Two copies of a speaker who is drawn twice compare as two different speakers would, each as it does with all others.
  Plain copies would repeat the comparison within the speaker, which makes the standard error up to a third too large if
  speakers differ much more than their recordings.

`tools/coverage.py` measures the coverage of the resulting intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from lightning_mia.evaluation.statistics.auroc import n_below
from lightning_mia.evaluation.statistics.clusters import number_speakers

BLOCK = 64  # units compared at once; their weights in a thousand draws (256 kB) fit into a core's cache


@dataclass(frozen=True)
class SpeakerDraws:
    """Draws of speakers, shared by scores of the same units.

    Attributes:
        speaker: (n,) int, index of each unit's speaker, from 0 to S − 1.
        weights: (B, S) int32, number of times that each speaker was drawn.
        degrees_of_freedom: S − 1; if every speaker has only members or only non-members, Satterthwaite's, which are
            S − 2 if both groups have as many speakers, and fewer otherwise.

    Example:
        >>> draws = draw_speakers(np.array(["a", "a", "b", "c"]), np.array([True, False, True, False]), 100, seed=0)
        >>> draws.weights.shape, set(draws.weights.sum(axis=1).tolist())  # S − 1 speakers per draw
        ((100, 3), {2})
    """

    speaker: np.ndarray
    weights: np.ndarray
    degrees_of_freedom: float

    @property
    def one_unit_per_speaker(self) -> bool:
        """Whether every speaker has one unit, and units are independent."""
        return len(self.speaker) == self.weights.shape[1]


def draw_speakers(speakers: np.ndarray, members: np.ndarray, n_bootstraps: int, seed: int) -> SpeakerDraws:
    """Draw speakers with replacement.

    The last draws are cached, because attacks on the same units share them.

    Args:
        speakers: (n,) str, speaker of each unit.
        members: (n,) bool.
        n_bootstraps: B.
        seed: of the draws.
    """
    names = np.asarray(speakers, dtype=str)
    flags = np.asarray(members, dtype=bool)
    return _cached_draws(names.tobytes(), names.dtype.str, flags.tobytes(), n_bootstraps, seed)


def bootstrap_auroc(values: np.ndarray, members: np.ndarray, draws: SpeakerDraws) -> np.ndarray:
    """Compute the AUROC of every draw, ties counted half.

    Args:
        values: (n,) scores.
        members: (n,) bool.
        draws: of the speakers of these n units.

    Returns:
        (B,) float64; NaN for a draw without members or without non-members.
    """
    # Two orders of the units by rising score: members tied with non-members lose in one and win in the other, which
    # makes half a win.
    losing, winning = np.lexsort((~members, values)), np.lexsort((members, values))
    orders = [losing] if np.array_equal(losing, winning) else [losing, winning]
    by_speaker = np.ascontiguousarray(draws.weights.T, dtype=_exact_type(draws.weights))  # (S, B)
    won = [_weighted_wins(by_speaker, draws.speaker[order], members[order]) for order in orders]  # each (B,)
    copy_excess = _copy_excess(values[losing], members[losing], draws.speaker[losing])
    weights = draws.weights.astype(np.float64)
    wins = np.mean(won, axis=0) - (weights**2 - weights) @ copy_excess
    n_members, n_nonmembers = (np.bincount(draws.speaker, weights=group) for group in (members, ~members))  # each (S,)
    total = (weights @ n_members) * (weights @ n_nonmembers)
    return np.divide(wins, total, out=np.full(len(weights), np.nan), where=total > 0)


@lru_cache(maxsize=2)
def _cached_draws(names: bytes, name_type: str, member_flags: bytes, n_bootstraps: int, seed: int) -> SpeakerDraws:
    speakers = np.frombuffer(names, dtype=name_type)
    members = np.frombuffer(member_flags, dtype=bool)
    generator = np.random.default_rng(seed)
    speaker, n_speakers = number_speakers(speakers)
    member_share = np.bincount(speaker, weights=members) / np.bincount(speaker)  # (S,)
    strata = [np.arange(n_speakers)]
    if np.isin(member_share, (0.0, 1.0)).all():
        strata = [np.flatnonzero(member_share == share) for share in (0.0, 1.0)]
    weights = np.zeros((n_bootstraps, n_speakers), dtype=np.int32)
    for stratum in strata:
        size = len(stratum)
        weights[:, stratum] = generator.multinomial(max(1, size - 1), np.full(size, 1 / size), n_bootstraps)
    weights.flags.writeable = speaker.flags.writeable = False
    return SpeakerDraws(speaker, weights, _degrees_of_freedom([len(stratum) for stratum in strata]))


def _degrees_of_freedom(sizes: Sequence[int]) -> float:
    """Return Satterthwaite's degrees of freedom of a sum of means.

    All speakers are taken to vary equally.

    Args:
        sizes: number of speakers of each mean.

    >>> _degrees_of_freedom([10]), round(_degrees_of_freedom([6, 6]), 6), round(_degrees_of_freedom([3, 20]), 1)
    (9.0, 10.0, 2.6)
    """
    if min(sizes) < 2:
        return 0.0
    variances = [max(sizes) / size for size in sizes]  # of each mean, up to a factor
    squares = sum(variance**2 / (size - 1) for variance, size in zip(variances, sizes, strict=True))
    return sum(variances) ** 2 / squares


def _exact_type(weights: np.ndarray) -> type[np.floating]:
    """Choose float32 if it holds a block's wins exactly."""
    return np.float32 if (BLOCK * int(weights.max())) ** 2 <= 2**24 else np.float64


def _weighted_wins(by_speaker: np.ndarray, speaker: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Count the pairs won by the member, weighted by draws.

    The weight of a pair is the product of the draws of its two speakers. Within a block of units, one matrix product
    compares every member with every non-member before it, for all draws at once; a running sum adds earlier blocks.

    Args:
        by_speaker: (S, B) weights of the speakers.
        speaker: (n,) int, speaker of each unit, in the order of the scores.
        members: (n,) bool, in that order.

    Returns:
        (B,) float64, whole numbers.
    """
    wins, below = np.zeros((2, by_speaker.shape[1]))  # (B,) each; below: weight of the non-members so far
    starts = np.arange(BLOCK, len(speaker), BLOCK)
    for units, others in zip(*(_in_blocks(group, starts) for group in (members, ~members)), strict=True):
        member_weights, nonmember_weights = (np.take(by_speaker, speaker[group], axis=0) for group in (units, others))
        beaten = (others < units[:, None]).astype(by_speaker.dtype) @ nonmember_weights  # (m, B)
        wins += below * member_weights.sum(axis=0) + np.einsum("mb,mb->b", member_weights, beaten)
        below += nonmember_weights.sum(axis=0)
    return wins


def _in_blocks(group: np.ndarray, starts: np.ndarray) -> list[np.ndarray]:
    """Split the indices of a group (n,) bool into blocks."""
    indices = np.flatnonzero(group)
    return np.split(indices, np.searchsorted(indices, starts))


def _copy_excess(values: np.ndarray, members: np.ndarray, speaker: np.ndarray) -> np.ndarray:
    """Count the excess wins within each speaker (S,).

    They are the wins within the speaker minus those expected between two copies of the speaker. The share expected
    between copies is the AUROC, plus what the speaker's members achieve beyond it against the other speakers'
    non-members, plus what the other speakers' members achieve beyond it against the speaker's non-members.
    """
    own_ranks = pd.Series(values).groupby(speaker).rank().to_numpy()  # (n,) mid-ranks among the speaker's own
    won = np.where(members, n_below(values, values[~members]), n_below(-values, -values[members]))  # (n,)
    n_members = np.bincount(speaker, weights=members)  # (S,)
    n_nonmembers = np.bincount(speaker, weights=~members)
    own_pairs = n_members * n_nonmembers
    own_wins = np.bincount(speaker, weights=own_ranks * members) - n_members * (n_members + 1) / 2
    auroc = won[members].sum() / (n_members.sum() * n_nonmembers.sum())
    expected = np.full(len(own_pairs), auroc)
    for group, n_others in ((members, n_nonmembers), (~members, n_members)):
        wins = np.bincount(speaker, weights=won * group) - own_wins
        pairs = np.bincount(speaker, weights=group) * (n_others.sum() - n_others)
        expected += np.divide(wins, pairs, out=np.full(len(pairs), auroc), where=pairs > 0) - auroc
    return own_wins - own_pairs * np.clip(expected, 0, 1)
