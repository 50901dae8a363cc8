"""ROC curves and score histograms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lightning_mia.evaluation.results import HEADLINE_FPR
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.operating_points import OperatingPoints
from lightning_mia.evaluation.statistics.roc import MIN_FALSE_POSITIVES
from lightning_mia.evaluation.statistics.roc_band import roc_band
from lightning_mia.report.content.numbers import percent
from lightning_mia.report.figures.style import (
    DASHES,
    LEGEND_LINE,
    MEMBER,
    MUTED,
    NONMEMBER,
    SERIES,
    legend_above,
    panel,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_CURVES = len(SERIES)
"""Maximum number of curves in a figure, one per colour."""

UNRESOLVED = f"FPR decided by fewer than {MIN_FALSE_POSITIVES} non-members"

MAX_SHARE_OF_BIN, MIN_LEVELS = 0.4, 10
"""Scores of more than `MIN_LEVELS` values of which more than this share falls into one bin are a spike."""


@dataclass(frozen=True)
class Curve:
    """Scores and legend name of one ROC curve."""

    name: str
    scores: Scores


def roc_figure(curves: Sequence[Curve], blind: Scores | None) -> "Figure":
    """Draw ROC curves on linear axes, the first with its band.

    Args:
        curves: at most `MAX_CURVES`, the best first.
        blind: scores of the blind baseline, drawn in grey.
    """
    figure, axes = _square(len(curves) + 2 + (blind is not None))
    _draw_curves(axes, curves, blind, linear_grid(_max_nonmembers(curves)))
    axes.set_xlim(-0.015, 1.0)
    axes.set_ylim(0.0, 1.015)
    return figure


def log_roc_figure(curves: Sequence[Curve], blind: Scores | None) -> "Figure":
    """Draw ROC curves on logarithmic axes, the first with its band.

    Each axis starts at about the rate of one unit.
    """
    figure, axes = _square(len(curves) + 2 + (blind is not None))
    n_members = max(curve.scores.n_members for curve in curves)
    n_nonmembers = _max_nonmembers(curves)
    axes.set_xscale("log")
    axes.set_yscale("log")
    _draw_curves(axes, curves, blind, logarithmic_grid(n_nonmembers))
    axes.set_xlim(0.85 / n_nonmembers, 1.0)
    axes.set_ylim(1 / n_members, 1.1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter("")
    return figure


def linear_grid(n_nonmembers: int) -> np.ndarray:
    """Return at most 101 FPRs k / `n_nonmembers`, evenly spaced.

    >>> linear_grid(4)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    return np.unique(np.round(np.linspace(0, n_nonmembers, 101))) / n_nonmembers


def logarithmic_grid(n_nonmembers: int) -> np.ndarray:
    """Return at most 61 FPRs k / `n_nonmembers`, log-spaced."""
    return np.unique(np.round(np.geomspace(1, n_nonmembers, 61))) / n_nonmembers


def histogram_figure(scores: Scores) -> "Figure":
    """Draw scores of members (filled) and non-members (outlined).

    The bins span the middle 98 % of the scores; scores outside are counted in the first or the last bin. If most
    scores would fall into one bin, their logits or ranks are drawn instead, and the axis says so.
    """
    figure, axes = panel(width=2.8, height=1.95, left=0.55, bottom=0.42)
    values, name = histogram_scale(scores.values)
    edges = _edges(values)
    clipped = np.clip(values, edges[0], edges[-1])
    members, nonmembers = clipped[scores.members], clipped[~scores.members]
    axes.stairs(np.histogram(members, edges)[0] / len(members), edges, fill=True, color=MEMBER, alpha=0.35)
    axes.stairs(np.histogram(members, edges)[0] / len(members), edges, color=MEMBER, linewidth=0.9)
    axes.stairs(np.histogram(nonmembers, edges)[0] / len(nonmembers), edges, color=NONMEMBER, linewidth=1.3)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", nbins=4)
    axes.locator_params(axis="y", nbins=4)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axes.set_xlabel(name)
    axes.set_ylabel("share of units")
    return figure


def histogram_scale(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Choose a scale on which the scores are no spike.

    Args:
        values: (n,) scores.

    Returns:
        The scores, their logits, or their ranks between 0 and 1; and the name of the scale.

    >>> histogram_scale(np.array([0.2, 0.4, 0.5, 0.7]))[1]
    'score'
    """
    if not _is_spike(values):
        return values, "score"
    if values.min() > 0 and values.max() < 1 and not _is_spike(logits := np.log(values / (1 - values))):
        return logits, "logit of the score"
    if np.unique(values).size == 1:
        return values, "score"
    return (pd.Series(values).rank().to_numpy() - 0.5) / len(values), "rank of the score"


def _is_spike(values: np.ndarray) -> bool:
    """Test whether one bin holds most of many different scores."""
    edges = _edges(values)
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    return bool(counts.max() > MAX_SHARE_OF_BIN * len(values)) and np.unique(values).size > MIN_LEVELS


def _edges(values: np.ndarray) -> np.ndarray:
    low, high = np.quantile(values, [0.01, 0.99])
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, 1 + int(np.clip(1.5 * np.sqrt(len(values)), 6, 30)))


def _max_nonmembers(curves: Sequence[Curve]) -> int:
    return max(curve.scores.n_nonmembers for curve in curves)


def _draw_curves(axes: "Axes", curves: Sequence[Curve], blind: Scores | None, grid: np.ndarray) -> None:
    unresolved = MIN_FALSE_POSITIVES / _max_nonmembers(curves)
    axes.axvspan(1e-9, min(unresolved, 1), color=MUTED, alpha=0.13, linewidth=0, label=UNRESOLVED)
    axes.axvline(HEADLINE_FPR, color=MUTED, linewidth=0.7, dashes=(4, 2), label=f"FPR {percent(HEADLINE_FPR)}")
    axes.plot(grid, grid, color=MUTED, linewidth=0.5, alpha=0.7)
    if blind is not None:
        tpr = roc_curve(blind, grid)
        axes.step(grid, tpr, where="post", color=MUTED, linewidth=0.9, dashes=(1, 1), label="blind")
    for rank, (curve, colour, dashes) in enumerate(zip(curves, SERIES, DASHES, strict=False)):
        if rank == 0:
            band = roc_band(curve.scores, grid)
            axes.fill_between(grid, band.lower, band.upper, step="post", color=colour, alpha=0.12, linewidth=0)
        name = f"{curve.name}, with 95 % band" if rank == 0 else curve.name
        tpr = roc_curve(curve.scores, grid)
        axes.step(grid, tpr, where="post", color=colour, linewidth=1.3, dashes=dashes, label=name)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    legend_above(axes)


def roc_curve(scores: Scores, grid: np.ndarray) -> np.ndarray:
    """Return the true positive rate at each false positive rate."""
    points = OperatingPoints.of(scores.values, scores.members, scores.speakers)
    return np.array([points.tpr(fpr) for fpr in grid.tolist()])


def _square(n_names: int) -> "tuple[Figure, Axes]":
    top = 0.1 + LEGEND_LINE * n_names
    return panel(width=3.9, height=3.54 + top, left=0.46, bottom=0.4, top=top)
