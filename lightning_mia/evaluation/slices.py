"""How an attack fares on parts of the challenge set: by duration, by level, by gender, by accent.

A slice has the AUROC of its own members against its own non-members, with the interval of every AUROC here: cluster
bootstrap over the speakers of the slice, Student's t. Nothing else is borrowed from outside the slice. Where there are
too few units or speakers for such an interval to hold, there is no number at all.

The attack is the one that did best over all, so that its figures lean upwards; the slices of one property are disjoint,
but those of different properties are the same units over again. Intervals are for reading: whether two slices differ is
not tested, and of many slices some lie apart by chance.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.results import Interval
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.intervals import auroc_with_interval

MIN_UNITS = 10
"""Units a side below which a slice has no AUROC."""

MIN_SPEAKERS = 6
"""Speakers below which a slice has no AUROC: with fewer, the bootstrap interval was not tried."""

UNKNOWN = ""


@dataclass(frozen=True)
class Slice:
    """A part of the challenge set.

    Attributes:
        by: the property that it is cut by.
        value: of that property; "" where it is not known.
        n_members: member units in it.
        n_nonmembers: non-member units in it.
        n_speakers: speakers in it.
        auroc: of the attack in it; None where it is too small.
        auroc_ci95: its 95 % interval over speakers; None where it is too small.
    """

    by: str
    value: str
    n_members: int
    n_nonmembers: int
    n_speakers: int
    auroc: float | None
    auroc_ci95: Interval | None


@dataclass(frozen=True)
class Cut:
    """How a property cuts the challenge set.

    Attributes:
        by: the property.
        of_units: (n,) its value for each unit, "" where it is not known.
        order: its values in the order in which they are to stand.
    """

    by: str
    of_units: tuple[str, ...]
    order: tuple[str, ...]


def slices(scores: Scores, cuts: Iterable[Cut], n_bootstraps: int, seed: int) -> tuple[Slice, ...]:
    """Cut the challenge set by each property in turn.

    Args:
        scores: of one attack, n units.
        cuts: of these units; a property that has fewer than two known values is passed over.
        n_bootstraps: how many times speakers are drawn.
        seed: of the draws.
    """
    return tuple(_slice(scores, cut.by, value, mask, n_bootstraps, seed) for cut in cuts for value, mask in _parts(cut))


def cut_by_word(by: str, words: Sequence[str]) -> Cut:
    """One part a word, by the alphabet, those of whom nothing is known last."""
    return Cut(by, tuple(words), (*sorted(set(words) - {UNKNOWN}), UNKNOWN))


def cut_in_thirds(by: str, numbers: np.ndarray, places: int, unit: str) -> Cut:
    """Three parts of about equal size, named by their ranges, the lowest first.

    Equal numbers stay together. Where that leaves one part, or ranges that read alike, all units have one name.

    Args:
        by: the property.
        numbers: (n,) finite.
        places: decimals of the ranges' ends.
        unit: written after a range.

    >>> cut_in_thirds("duration", np.array([6.0, 2.0, 3.0, 4.0, 5.0, 1.0]), 0, "s").order
    ('1 to 2 s', '3 to 4 s', '5 to 6 s')
    """

    def name(part: np.ndarray) -> str:
        low, high = (f"{end:.{places}f}".replace("-", "−") for end in (part.min(), part.max()))
        return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"

    edges = np.unique(np.quantile(numbers, [1 / 3, 2 / 3], method="inverted_cdf"))
    part = np.searchsorted(edges, numbers, side="left")  # (n,) up to and with an edge
    names = {number: name(numbers[part == number]) for number in np.unique(part).tolist()}
    if len(set(names.values())) < len(names):
        names = dict.fromkeys(names, name(numbers))
    return Cut(by, tuple(names[number] for number in part.tolist()), tuple(dict.fromkeys(names.values())))


def _parts(cut: Cut) -> Iterator[tuple[str, np.ndarray]]:
    of_units = np.asarray(cut.of_units, dtype=str)
    present = [value for value in cut.order if value in set(cut.of_units)]
    if len([value for value in present if value != UNKNOWN]) > 1:
        yield from ((value, of_units == value) for value in present)


def _slice(scores: Scores, by: str, value: str, mask: np.ndarray, n_bootstraps: int, seed: int) -> Slice:
    members, speakers, of_slice = scores.members[mask], scores.speakers[mask], scores.values[mask]
    n_members, n_speakers = int(members.sum()), len(np.unique(speakers))
    n_nonmembers = len(members) - n_members
    figure, interval = None, None
    if min(n_members, n_nonmembers) >= MIN_UNITS and n_speakers >= MIN_SPEAKERS:
        figure, interval = auroc_with_interval(of_slice, members, speakers, n_bootstraps, seed)
    return Slice(by, value, n_members, n_nonmembers, n_speakers, figure, interval)
