"""What a measure says: figures, each with the peer that it is compared with, and points of curves."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Ratio = Literal["speed-up", "relative"]
"""How a ratio reads: how many times as fast as the peer (2.0×), or the share of what the peer takes (0.50)."""


@dataclass(frozen=True)
class Curve:
    """A figure of curves that a measure draws.

    Attributes:
        name: unique in the measure; part of the file's name.
        across: what is varied, with its unit.
        up: what is measured, with its unit.
    """

    name: str
    across: str
    up: str


@dataclass(frozen=True)
class Point:
    """Where a row stands in a figure of curves.

    Attributes:
        curve: name of the figure.
        line: name of the line in it.
        x: value of what is varied.
    """

    curve: str
    line: str
    x: float


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        what: was measured, unique in the measure for each device.
        value: the figure; None: it could not be measured, and the note says why.
        unit: of the value, and of the peer's.
        device: what it ran on.
        peer: what it is compared with; empty: with nothing.
        peer_value: the peer's figure.
        ratio: against the peer.
        ratio_is: how the ratio reads.
        note: what else is worth knowing, such as how far two answers are apart.
        point: of a curve, if it is one.
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
    def of(cls, stored: Mapping[str, Any]) -> "Row":
        """A row as `to_json` wrote it."""
        point = stored["point"]
        return cls(**{**stored, "point": Point(**point) if point else None})

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @property
    def ratio_text(self) -> str:
        """The ratio as tables have it; empty where there is none.

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
    """A time, and how many times as long the peer takes."""
    return Row(what, seconds, unit, device, peer, peer_seconds, peer_seconds / seconds, note=note)


def relative(
    what: str, seconds: float, peer: str, peer_seconds: float, *, device: str, unit: str = "s", note: str = ""
) -> Row:
    """A time, and which share it is of the peer's."""
    return Row(what, seconds, unit, device, peer, peer_seconds, seconds / peer_seconds, "relative", note)


def throughput(
    what: str, rate: float, peer: str, peer_rate: float, *, device: str, unit: str = "audio s/s", note: str = ""
) -> Row:
    """Audio seconds a second, and how many times the peer's."""
    return Row(what, rate, unit, device, peer, peer_rate, rate / peer_rate, note=note)


def as_lines(rows: Sequence[Row]) -> list[str]:
    """Rows for a terminal, in columns."""
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
    """A figure with three digits that count.

    >>> number(0.01234), number(12.345), number(123456.0), number(None)
    ('0.0123', '12.3', '123,456', '–')
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
