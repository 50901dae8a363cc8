"""PNG curves of a measure, styled like ablation figures."""

from collections.abc import Sequence
from pathlib import Path

from lightning_mia.report.ablation.figures import Axis, Line, curves
from lightning_mia.report.ablation.labels import Label
from lightning_mia.report.ablation.points import SeedMean
from lightning_mia.utilities.files import atomic_path
from tools.benchmark.rows import Curve, Row


def draw(folder: Path, name: str, figures: Sequence[Curve], rows: Sequence[Row]) -> None:
    """Write `NAME_CURVE.png` for every curve that has points.

    Args:
        folder: output folder.
        name: name of the measure.
        figures: curves of the measure.
        rows: rows of the measure.
    """
    for curve in figures:
        lines: dict[str, dict[Label, SeedMean]] = {}
        for row in rows:
            if row.point and row.point.curve == curve.name and row.value is not None:
                lines.setdefault(row.point.line, {})[row.point.x] = SeedMean(row.value, None, 1)
        if not lines:
            continue
        xs = sorted({row.point.x for row in rows if row.point and row.point.curve == curve.name})
        axis = Axis(curve.across, [int(x) if x == int(x) else x for x in xs])
        figure = curves(axis, [Line(line, values) for line, values in lines.items()], curve.up, None)
        highest = max(mean.mean for values in lines.values() for mean in values.values())
        figure.axes[0].set_ylim(0, 1.05 * highest)
        with atomic_path(folder / f"{name}_{curve.name}.png") as temporary:
            figure.savefig(temporary, format="png")
