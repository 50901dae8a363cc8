"""Newcombe's interval of an AUROC, from its value and the sizes alone.

Method 5 of his second paper in Statistics in Medicine 25 (2006). Unlike intervals from an estimated
standard error it holds for a dozen units, and at 0 and 1.
"""

import numpy as np

from lightning_mia.evaluation.results import Interval

NORMAL_QUANTILE = 1.959964  # of 95 %, two-sided


def newcombe(auroc: float, n_members: float, n_nonmembers: float, quantile: float = NORMAL_QUANTILE) -> Interval:
    """The AUROCs A with |A − auroc| ≤ quantile × σ(A), for independent units.

    Args:
        auroc: as observed.
        n_members: member units; may be a fraction (an effective size).
        n_nonmembers: non-member units, likewise.
        quantile: standard normal, or Student's t.

    >>> [round(bound, 3) for bound in newcombe(1.0, 20, 20)]
    [0.899, 1.0]
    """
    from scipy.optimize import brentq

    def excess(candidate: float) -> float:  # below 0 inside the interval
        return abs(candidate - auroc) - quantile * hanley_mcneil(candidate, n_members, n_nonmembers)

    tiny = 1e-12  # at 0 and 1 themselves σ is 0 and the inequality says nothing
    lower = 0.0 if auroc <= tiny else float(brentq(excess, tiny, max(tiny, auroc - tiny)))
    upper = 1.0 if auroc >= 1 - tiny else float(brentq(excess, min(1 - tiny, auroc + tiny), 1 - tiny))
    return (lower, upper)


def hanley_mcneil(auroc: float, n_members: float, n_nonmembers: float) -> float:
    """Standard error of an AUROC of independent units, in Newcombe's symmetric form.

    Both sizes are replaced by their mean in the terms in which they differ, so that turning the scores round
    changes nothing. At 0.5 it is the exact one of the Mann-Whitney statistic without ties.
    """
    mean_size = (n_members + n_nonmembers) / 2
    third_order = (1 - auroc) / (2 - auroc) + auroc / (1 + auroc)
    variance = auroc * (1 - auroc) * (1 + (mean_size - 1) * third_order) / (n_members * n_nonmembers)
    return float(np.sqrt(variance))
