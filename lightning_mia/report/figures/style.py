"""Colours, dashes and axes of all figures."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


SERIES = ("#0b55ba", "#e56d17", "#035136", "#650963", "#9f9162", "#159ecc")
"""Colours that differ in lightness too, so that viewers with any colour vision tell them apart."""
DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (5, 1.5),
    (1.5, 1.5),
    (7, 1.5, 1.5, 1.5),
    (3, 1),
    (5, 1.5, 1, 1.5, 1, 1.5),
)

INK = "#22262b"
MUTED = "#71787f"
PAPER = "#fdfdfb"
MEMBER = SERIES[0]
NONMEMBER = SERIES[1]

CSS_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    PAPER: "var(--paper)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, start=1)},
}
"""Colour of a figure → variable of `style.css`, which has a second value for dark mode."""

MARGIN_TOP, MARGIN_RIGHT = 0.06, 0.08  # inches
LEGEND_LINE = 0.13  # inches


def panel(width: float, height: float, left: float, bottom: float, top: float = MARGIN_TOP) -> "tuple[Figure, Axes]":
    """Create a figure with one set of axes (inches)."""
    from matplotlib.figure import Figure

    # Fixed margins: a layout engine would draw everything twice to find them.
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    bounds = (left / width, bottom / height, 1 - (left + MARGIN_RIGHT) / width, 1 - (bottom + top) / height)
    axes = figure.add_axes(bounds)
    axes.tick_params(which="both", labelsize=7, color=MUTED, labelcolor=INK, length=2.5, width=0.6)
    axes.xaxis.label.set(size=7.5, color=INK)
    axes.yaxis.label.set(size=7.5, color=INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set(color=MUTED, linewidth=0.6)
    return figure, axes


def legend_above(axes: "Axes") -> None:
    """Put the legend into the top margin."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        fontsize=6.5,
        labelcolor=INK,
        frameon=False,
        handlelength=2.6,
        labelspacing=0.3,
        borderaxespad=0.2,
    )


def plain_numbers(axes: "Axes") -> None:
    """Label the y axis with at most six plain numbers."""
    axes.locator_params(axis="y", nbins=6)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}".replace("-", "−"))
