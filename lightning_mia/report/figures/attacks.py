"""ROC curves and score histograms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.roc_band import roc_band
from lightning_mia.report.figures.style import DASHES, INK, MEMBER, MUTED, NONMEMBER, PAPER, SERIES, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_CURVES = len(SERIES)
"""Maximum number of curves in a figure, one per colour."""


@dataclass(frozen=True)
class Curve:
    """Scores and legend name of one ROC curve."""

    name: str
    scores: Scores


def roc_figure(curves: Sequence[Curve], blind: Scores | None) -> "Figure":
    """Draw ROC curves with bands on linear axes.

    Args:
        curves: at most `MAX_CURVES`.
        blind: scores of the blind baseline, drawn in grey.
    """
    figure, axes = _square()
    _draw_curves(axes, curves, blind, linear_grid(_max_nonmembers(curves)))
    axes.set_xlim(-0.015, 1.0)
    axes.set_ylim(0.0, 1.015)
    return figure


def log_roc_figure(curves: Sequence[Curve], blind: Scores | None) -> "Figure":
    """Draw ROC curves with bands on logarithmic axes.

    Each axis starts at the rate of one unit.
    """
    figure, axes = _square()
    n_members = max(curve.scores.n_members for curve in curves)
    n_nonmembers = _max_nonmembers(curves)
    axes.set_xscale("log")
    axes.set_yscale("log")
    _draw_curves(axes, curves, blind, logarithmic_grid(n_nonmembers))
    axes.set_xlim(1 / n_nonmembers, 1.0)
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

    The bins span the middle 98 % of the scores; scores outside are counted in the first or the last bin.
    """
    figure, axes = panel(width=2.7, height=1.6, left=0.06, bottom=0.22)
    low, high = np.quantile(scores.values, [0.01, 0.99])
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, 1 + int(np.clip(1.5 * np.sqrt(len(scores)), 6, 30)))
    clipped = np.clip(scores.values, low, high)
    members, nonmembers = clipped[scores.members], clipped[~scores.members]
    axes.stairs(np.histogram(members, edges)[0] / len(members), edges, fill=True, color=MEMBER, alpha=0.35)
    axes.stairs(np.histogram(members, edges)[0] / len(members), edges, color=MEMBER, linewidth=0.9)
    axes.stairs(np.histogram(nonmembers, edges)[0] / len(nonmembers), edges, color=NONMEMBER, linewidth=1.3)
    axes.set_xlim(low, high)
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", nbins=4)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    return figure


def _max_nonmembers(curves: Sequence[Curve]) -> int:
    return max(curve.scores.n_nonmembers for curve in curves)


def _draw_curves(axes: "Axes", curves: Sequence[Curve], blind: Scores | None, grid: np.ndarray) -> None:
    axes.plot(grid, grid, color=MUTED, linewidth=0.5, alpha=0.7)
    if blind is not None:
        band = roc_band(blind, grid)
        axes.step(grid, band.tpr, where="post", color=MUTED, linewidth=0.9, dashes=(1, 1), label="blind")
    for curve, colour, dashes in zip(curves, SERIES, DASHES, strict=False):
        band = roc_band(curve.scores, grid)
        axes.fill_between(grid, band.lower, band.upper, step="post", color=colour, alpha=0.12, linewidth=0)
        axes.step(grid, band.tpr, where="post", color=colour, linewidth=1.3, dashes=dashes, label=curve.name)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.legend(
        loc="lower right",
        fontsize=6.5,
        labelcolor=INK,
        facecolor=PAPER,
        edgecolor="none",
        framealpha=0.8,
        handlelength=2.6,
    )


def _square() -> "tuple[Figure, Axes]":
    return panel(width=3.9, height=3.6, left=0.46, bottom=0.4)
