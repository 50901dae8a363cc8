"""Rows of a measure: figures, peers, points of curves."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Ratio = Literal["speed-up", "relative"]
"""`speed-up`: how many times as fast as the peer (2.0×). `relative`: fraction of the peer's time (0.50)."""


@dataclass(frozen=True)
class Curve:
    """Figure with the curves of a measure.

    Attributes:
        name: unique name within the measure, part of the file name.
        across: label of the x-axis, with unit.
        up: label of the y-axis, with unit.
    """

    name: str
    across: str
    up: str


@dataclass(frozen=True)
class Point:
    """Position of a row in a figure.

    Attributes:
        curve: name of the figure.
        line: name of the line.
        x: position on the x-axis.
    """

    curve: str
    line: str
    x: float


@dataclass(frozen=True)
class Row:
    """One measured figure.

    Attributes:
        what: quantity, unique within the measure for each device.
        value: figure; None: not measurable, for the reason in the note.
        unit: unit of both values.
        device: device that it ran on.
        peer: implementation compared with; empty: none.
        peer_value: figure of the peer.
        ratio: comparison with the peer.
        ratio_is: kind of ratio.
        note: further information, such as the largest difference between two results.
        point: position in a figure, if any.
    """

    what: str
    value: float | None
    unit: str
    device: str
    peer: str = ""
    peer_value: float | None = None
    ratio: float | None = None
    ratio_is: Ratio = "speed-up"
    note: str = ""
    point: Point | None = None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Row":
        """Restore a row from `to_json`."""
        point = stored["point"]
        return cls(**{**stored, "point": Point(**point) if point else None})

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values."""
        return asdict(self)

    @property
    def ratio_text(self) -> str:
        """Ratio as shown in tables; empty if there is none.

        >>> Row("a", 1.0, "ms", "CPU", "b", 19.3, 19.3).ratio_text
        '19×'
        >>> Row("a", 1.0, "ms", "CPU", "b", 1.7, 0.5882, ratio_is="relative").ratio_text
        '0.59'
        """
        if self.ratio is None:
            return ""
        digits = f"{self.ratio:.0f}" if self.ratio >= 10 else f"{self.ratio:.2f}"
        return digits + ("×" if self.ratio_is == "speed-up" else "")


def faster(
    what: str, seconds: float, peer: str, peer_seconds: float, *, device: str, unit: str = "s", note: str = ""
) -> Row:
    """Make a row of seconds and the speed-up."""
    return Row(what, seconds, unit, device, peer, peer_seconds, peer_seconds / seconds, note=note)


def relative(
    what: str, seconds: float, peer: str, peer_seconds: float, *, device: str, unit: str = "s", note: str = ""
) -> Row:
    """Make a row of seconds, relative to the peer's."""
    return Row(what, seconds, unit, device, peer, peer_seconds, seconds / peer_seconds, "relative", note)


def throughput(
    what: str, rate: float, peer: str, peer_rate: float, *, device: str, unit: str = "audio s/s", note: str = ""
) -> Row:
    """Make a row of throughput and the speed-up."""
    return Row(what, rate, unit, device, peer, peer_rate, rate / peer_rate, note=note)


def as_lines(rows: Sequence[Row]) -> list[str]:
    """Format rows in columns for a terminal."""
    cells = [
        [
            row.what,
            f"{number(row.value)} {row.unit}",
            row.ratio_text,
            f"{row.peer} {number(row.peer_value)}" if row.peer_value is not None else row.peer,
            row.device,
            row.note,
        ]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = (zip(line, widths, strict=True) for line in cells)
    return ["    " + "  ".join(f"{cell:{width}}" for cell, width in line if width).rstrip() for line in padded]


def number(value: float | None) -> str:
    """Format a figure with three significant digits.

    >>> number(0.01234), number(12.345), number(123456.0), number(None)
    ('0.0123', '12.3', '123,456', '–')
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
