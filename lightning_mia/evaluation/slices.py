"""AUROC of an attack on slices of the challenge set.

Slices are by duration, sound level, gender or accent. A slice has the AUROC of its own members against its own
non-members, with an interval by the cluster bootstrap over the speakers of the slice and Student's t. No unit outside
the slice is used. Slices with too few units or speakers for a valid interval have no AUROC.

The attack is usually the strongest of a run, so that its AUROCs are biased upwards. The slices of one property are
disjoint; those of different properties contain the same units. The intervals are descriptive: whether two slices differ
is not tested, and some of many slices differ by chance.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.results import Interval
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.intervals import auroc_with_interval

MIN_UNITS = 10
"""Minimum number of members, and of non-members, for an AUROC."""

MIN_SPEAKERS = 6
"""Minimum number of speakers for an AUROC: the coverage of the bootstrap interval was not measured with fewer."""

UNKNOWN = ""


@dataclass(frozen=True)
class Slice:
    """Units of the challenge set that share a property's value.

    Attributes:
        by: name of the property.
        value: of that property; "" if unknown.
        n_members: member units in the slice.
        n_nonmembers: non-member units in the slice.
        n_speakers: speakers in the slice.
        auroc: of the attack on the slice; None if the slice is too small.
        auroc_ci95: its 95 % interval over speakers; None if the slice is too small.

    Example:
        >>> part = Slice("gender", "female", 8, 9, 12, auroc=None, auroc_ci95=None)
        >>> part.auroc is None  # fewer than `MIN_UNITS` members
        True
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
    """Values of a property, by which units are sliced.

    Attributes:
        by: name of the property.
        values: (n,) value of each unit, "" if unknown.
        order: distinct values in the order of display.

    Example:
        >>> cut_by_category("gender", ["male", "", "female", "male"])
        Cut(by='gender', values=('male', '', 'female', 'male'), order=('female', 'male', ''))
    """

    by: str
    values: tuple[str, ...]
    order: tuple[str, ...]


def slices(scores: Scores, cuts: Iterable[Cut], n_bootstraps: int, seed: int) -> tuple[Slice, ...]:
    """Evaluate an attack on the slices of each property.

    Args:
        scores: of one attack, n units.
        cuts: of these units; properties with fewer than two known values are skipped.
        n_bootstraps: number of draws of speakers.
        seed: of the draws.

    Example:
        >>> values, members = np.arange(80) % 40 + 0.0, np.arange(80) % 40 >= 20
        >>> units = [str(i) for i in range(80)]
        >>> scores = Scores("loss", "utterance", "grey-box", False, units, units, members, values)
        >>> cut = cut_by_category("gender", ["female"] * 40 + ["male"] * 40)
        >>> [(part.value, part.n_members, part.auroc) for part in slices(scores, [cut], 100, seed=0)]
        [('female', 20, 1.0), ('male', 20, 1.0)]
    """
    return tuple(_slice(scores, cut.by, value, mask, n_bootstraps, seed) for cut in cuts for value, mask in _parts(cut))


def cut_by_category(by: str, categories: Sequence[str]) -> Cut:
    """Cut by category, in alphabetical order.

    Units of unknown category come last.
    """
    return Cut(by, tuple(categories), (*sorted(set(categories) - {UNKNOWN}), UNKNOWN))


def cut_in_thirds(by: str, numbers: np.ndarray, places: int, unit: str) -> Cut:
    """Cut by numbers into three parts of about equal size.

    Parts are named by their ranges, the lowest first. Equal numbers stay together. If that leaves one part, or ranges
    with equal names, all units form one part.

    Args:
        by: name of the property.
        numbers: (n,) finite values.
        places: decimals of the ranges' ends.
        unit: written after a range.

    >>> cut_in_thirds("duration", np.array([6.0, 2.0, 3.0, 4.0, 5.0, 1.0]), 0, "s").order
    ('1 to 2 s', '3 to 4 s', '5 to 6 s')
    """

    def name(part: np.ndarray) -> str:
        low, high = (f"{end:.{places}f}".replace("-", "−") for end in (part.min(), part.max()))
        return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"

    edges = np.unique(np.quantile(numbers, [1 / 3, 2 / 3], method="inverted_cdf"))
    part = np.searchsorted(edges, numbers, side="left")  # (n,) up to and including an edge
    names = {number: name(numbers[part == number]) for number in np.unique(part).tolist()}
    if len(set(names.values())) < len(names):
        names = dict.fromkeys(names, name(numbers))
    return Cut(by, tuple(names[number] for number in part.tolist()), tuple(dict.fromkeys(names.values())))


def _parts(cut: Cut) -> Iterator[tuple[str, np.ndarray]]:
    values = np.asarray(cut.values, dtype=str)
    present = [value for value in cut.order if value in set(cut.values)]
    if len([value for value in present if value != UNKNOWN]) > 1:
        yield from ((value, values == value) for value in present)


def _slice(scores: Scores, by: str, value: str, mask: np.ndarray, n_bootstraps: int, seed: int) -> Slice:
    members, speakers, values = scores.members[mask], scores.speakers[mask], scores.values[mask]
    n_members, n_speakers = int(members.sum()), len(np.unique(speakers))
    n_nonmembers = len(members) - n_members
    auroc, interval = None, None
    if min(n_members, n_nonmembers) >= MIN_UNITS and n_speakers >= MIN_SPEAKERS:
        auroc, interval = auroc_with_interval(values, members, speakers, n_bootstraps, seed)
    return Slice(by, value, n_members, n_nonmembers, n_speakers, auroc, interval)
