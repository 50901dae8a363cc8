"""ROC curves with pointwise confidence bands, for figures."""

from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.operating_points import OperatingPoints


@dataclass(frozen=True)
class RocBand:
    """ROC curve with a pointwise 95 % band.

    Nothing is interpolated: `tpr` is the highest true positive rate at a false positive rate of at most `fpr`.
    """

    fpr: np.ndarray  # (grid,)
    tpr: np.ndarray  # (grid,)
    lower: np.ndarray  # (grid,) pointwise 95 %, at most tpr
    upper: np.ndarray  # (grid,) at least tpr


def roc_band(scores: Scores, grid: np.ndarray) -> RocBand:
    """Compute the ROC curve and its band over speakers.

    The band consists of the intervals of `tpr_at_fpr`, which count the error of the threshold too.

    Args:
        scores: of n units.
        grid: (grid,) false positive rates.

    >>> scores = Scores("loss", "utterance", "grey-box", False, ["a", "b", "c", "d"], ["s", "s", "t", "t"],
    ...                 [True, False, True, False], [0.9, 0.4, 0.6, 0.7])
    >>> roc_band(scores, np.array([0.0, 0.5, 1.0])).tpr
    array([0.5, 1. , 1. ])
    """
    points = OperatingPoints.of(scores.values, scores.members, scores.speakers)
    intervals = np.array([points.tpr_interval(fpr) for fpr in grid.tolist()]).reshape(-1, 2)
    return RocBand(grid, np.array([points.tpr(fpr) for fpr in grid.tolist()]), *intervals.T)
