"""Rows of the results page, repeated on the attack pages."""

from dataclasses import dataclass, field
from pathlib import Path

FIRST = ("model, access", "access")  # possible headings of the column left of the attack
ANCHORS = {"model, access": "shadow-models", "access": "shadow-models-at-speaker-level"}


@dataclass
class Table:
    """Table of audits with shadow models.

    Attributes:
        heading: column headings.
        rows: cells of every row; an empty first cell is filled from the row above.
    """

    heading: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def select(self, names: list[str]) -> list[list[str]]:
        """Select the rows of some attacks."""
        return [row for row in self.rows if row[1].strip("`") in names]


def tables(text: str) -> list[Table]:
    """Parse the tables with attacks in the second column."""
    result: list[Table] = []
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] in FIRST and cells[1] == "attack":
            inside = True
            result.append(Table(cells))
        elif inside and set(cells) != {"---"}:
            above = result[-1].rows[-1][0] if result[-1].rows else ""
            result[-1].rows.append([cells[0] or above, *cells[1:]])
    return result


def rows(results: Path, names: list[str], link: str, first: tuple[str, ...] = FIRST) -> str:
    """Copy the rows of some attacks, table by table.

    Args:
        results: page with the tables.
        names: attacks.
        link: link to that page.
        first: headings of the first column; tables with others are skipped.

    Raises:
        ValueError: an attack has no row.
    """
    selected = [table for table in tables(results.read_text(encoding="utf-8")) if table.heading[0] in first]
    present = {row[1].strip("`") for table in selected for row in table.rows}
    if missing := [name for name in names if name not in present]:
        raise ValueError(f"{results} has no row of {', '.join(missing)}")
    parts = []
    for table in selected:
        if cells := table.select(names):
            lines = [table.heading, ["---"] * len(table.heading), *cells]
            anchor = ANCHORS[table.heading[0]]
            parts.append("\n".join("| " + " | ".join(line) + " |" for line in lines))
            parts.append(f"Columns and command: see [results]({link}#{anchor}).")
    return "\n\n".join(parts)
