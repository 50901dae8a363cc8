"""Clean user-supplied splits: how often the blind baseline refuses them.

The redraws of a split are clean splits of the very same size: random labels of the same recordings. The share of them
that is refused tells, before any model is trained or probed, whether a split of this size can be assessed.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from lightning_mia.evaluation.results import BlindResult
from lightning_mia.evaluation.settings import ALPHA
from lightning_mia.evaluation.statistics.intervals import t_quantile

MAX_AUROC = 0.60
"""One-sided 95 % upper bound of the blind AUROC above which a user-supplied split is refused."""

ACCEPTABLE_SHARE = 0.065
"""Share of refused clean splits that hardly exceeds the 5 % refused by their p-value at any size."""

HIGH_SHARE = 0.10
"""Share of refused clean splits from which users are warned."""

GROWTH = 1.02
"""Factor between two sizes that are tried."""


@dataclass(frozen=True)
class CleanSplits:
    """Blind baseline of clean splits of one size.

    Attributes:
        aurocs: (R,) AUROC of each redraw.
        p_values: (R,) p-value of each redraw among all labellings.
        upper_bound: returns the one-sided 95 % upper bound of an AUROC, which rises with it.
        degrees_of_freedom: of that bound.

    Example:
        >>> aurocs = np.random.default_rng(0).normal(0.5, 0.05, size=1000)
        >>> p_values = 1 - aurocs.argsort().argsort() / 1000
        >>> clean = CleanSplits(aurocs, p_values, lambda auroc: auroc + 0.083, degrees_of_freedom=198)
        >>> round(clean.refused, 1), round(clean.growth_needed())
        (0.3, 2)
    """

    aurocs: np.ndarray
    p_values: np.ndarray
    upper_bound: Callable[[float], float]
    degrees_of_freedom: float

    @property
    def refused(self) -> float:
        """Share of clean splits of this size that is refused."""
        distinct = np.unique(self.aurocs)
        first = bisect_right(distinct.tolist(), MAX_AUROC, key=self.upper_bound)
        too_large = self.aurocs >= distinct[first] if first < len(distinct) else np.zeros(len(self.aurocs), bool)
        return float(np.mean((self.p_values < ALPHA) | too_large))

    def growth_needed(self) -> float:
        """Return the factor by which the split must grow to be refused rarely.

        That is in at most `ACCEPTABLE_SHARE` of cases. Deviations from chance and standard errors shrink with the
        square root of the size, and the degrees of freedom grow with it. It is 1 if the split is large enough.
        """
        if self.refused <= ACCEPTABLE_SHARE:
            return 1.0
        spread = float(self.aurocs.std())  # at least: the bound of few units ends at 1
        if self.degrees_of_freedom >= 1:
            spread = max(spread, (self.upper_bound(0.5) - 0.5) / t_quantile(0.95, self.degrees_of_freedom))
        growth = 1.0
        while self._refused_after(growth, spread) > ACCEPTABLE_SHARE:
            growth *= GROWTH
        return growth

    def _refused_after(self, growth: float, spread: float) -> float:
        quantile = t_quantile(0.95, max(1.0, self.degrees_of_freedom * growth))
        aurocs = 0.5 + (self.aurocs - 0.5) / growth**0.5
        bounds = aurocs + quantile * spread / growth**0.5
        return float(np.mean((self.p_values < ALPHA) | (bounds > MAX_AUROC)))


def size_sentences(blind: Sequence[BlindResult]) -> tuple[str, ...]:
    """Say how often a clean split of this size is refused.

    Args:
        blind: blind baselines of a user-supplied split; of each level, the one refused most often counts.

    Returns:
        One sentence per level whose share is known.
    """
    sentences = []
    for level in dict.fromkeys(control.result.level for control in blind):
        known = [control for control in blind if control.result.level == level and control.clean_refused is not None]
        if known:
            worst = max(known, key=lambda control: control.clean_refused or 0.0)
            sentences.append(f"A clean split of this size ({_size(worst)}) is refused in {_refusal(worst)}.")
    return tuple(sentences)


def is_often_refused(blind: Sequence[BlindResult]) -> bool:
    """Test whether clean splits of this size are often refused."""
    return any((control.clean_refused or 0.0) > HIGH_SHARE for control in blind)


def refusal_clause(blind: BlindResult) -> str:
    """Continue the reason of a split that is too small.

    Empty if the share of refused clean splits is unknown.
    """
    return "" if blind.clean_refused is None else f"; a clean split of this size is refused in {_refusal(blind)}"


def _refusal(blind: BlindResult) -> str:
    """Return the share of refused clean splits, its cause and the remedy."""
    share = f"{blind.clean_refused or 0.0:.0%} of cases".replace("%", " %")
    if blind.growth_needed <= 1:
        return share
    result, units = blind.result, _units(blind)
    per_class = blind.growth_needed * 2 / (1 / result.n_members + 1 / result.n_nonmembers)
    needed = _rounded_up(per_class)
    speakers = "" if result.level == "speaker" else f" of {ceil(result.n_speakers * blind.growth_needed)} speakers"
    return (
        f"{share}, because so few {units} leave its upper bound above {MAX_AUROC:.2f}; "
        f"bring about {needed} + {needed} {units}{speakers}"
    )


def _size(blind: BlindResult) -> str:
    result = blind.result
    speakers = "" if result.level == "speaker" else f" of {result.n_speakers} speakers"
    return f"{result.n_members} + {result.n_nonmembers} {_units(blind)}{speakers}"


def _units(blind: BlindResult) -> str:
    return "speakers" if blind.result.level == "speaker" else "recordings"


def _rounded_up(number: float) -> int:
    """Round up to two significant digits.

    >>> _rounded_up(231.2), _rounded_up(96.5)
    (240, 97)
    """
    step = 10 ** max(0, len(str(int(number))) - 2)
    return ceil(number / step) * step
