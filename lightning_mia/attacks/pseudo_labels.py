"""Labels that an adversary without any gives to its own recordings: the extremes of the basic score."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class PseudoLabels:
    """Who is taken for a member, and who for a non-member; no unit stands in both series.

    Attributes:
        training: index = unit, float64, 1 = "member", 0 = "non-member"; as many of either.
        validation: the same for other units, the next ones on each side.
    """

    training: pd.Series
    validation: pd.Series


def pseudo_labels(basic: pd.Series, k: int) -> PseudoLabels:
    """Take the extremes of the basic score for members and non-members.

    Tseng et al. (2022), section 3.3: the k highest are "members", the k lowest "non-members"; the next k on each
    side validate. Where there are fewer than 4 k units, k shrinks to a quarter of them (rounded down), so that the
    four groups stay apart.

    Args:
        basic: basic scores of at least 4 auxiliary units, index = unit, in any order. Equal scores rank by name.
        k: units of a group, at least 1.

    >>> labels = pseudo_labels(pd.Series({"a": 0.1, "b": 0.9, "c": 0.4, "d": 0.6, "e": 0.5}), k=500)
    >>> labels.training.to_dict(), labels.validation.to_dict()
    ({'b': 1.0, 'a': 0.0}, {'d': 1.0, 'c': 0.0})
    """
    ranked = basic.sort_index().sort_values(ascending=False, kind="stable").index
    k = min(k, len(ranked) // 4)
    if k < 1:
        raise ValueError(f"Expected at least 4 units and k of 1 or more, got {len(ranked)} units and k = {k}")
    return PseudoLabels(
        training=_label(ranked[:k], ranked[-k:]),
        validation=_label(ranked[k : 2 * k], ranked[-2 * k : -k]),
    )


def _label(members: pd.Index, nonmembers: pd.Index) -> pd.Series:
    return pd.concat([pd.Series(1.0, index=members), pd.Series(0.0, index=nonmembers)])
