"""Rows of the tables on the results page, repeated on the pages of the attacks."""

from dataclasses import dataclass, field
from pathlib import Path

FIRST = ("model, access", "access")  # headings of the column before that of the attacks
ANCHORS = {"model, access": "shadow-models", "access": "shadow-models-at-speaker-level"}


@dataclass
class Table:
    """A table of audits with shadow models.

    Attributes:
        heading: its cells.
        rows: cells of every row; an empty first cell takes the value of the row above.
    """

    heading: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def of(self, names: list[str]) -> list[list[str]]:
        """The rows of these attacks."""
        return [row for row in self.rows if row[1].strip("`") in names]


def tables(text: str) -> list[Table]:
    """The tables of a page that have attacks in their second column."""
    found: list[Table] = []
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] in FIRST and cells[1] == "attack":
            inside = True
            found.append(Table(cells))
        elif inside and set(cells) != {"---"}:
            above = found[-1].rows[-1][0] if found[-1].rows else ""
            found[-1].rows.append([cells[0] or above, *cells[1:]])
    return found


def rows(results: Path, names: list[str], link: str, first: tuple[str, ...] = FIRST) -> str:
    """The rows of some attacks, one table after the other.

    Args:
        results: the page with the tables.
        names: of the attacks.
        link: to that page.
        first: of the tables that are wanted, the heading of the first column.

    Raises:
        ValueError: no table has one of them.
    """
    found = [table for table in tables(results.read_text(encoding="utf-8")) if table.heading[0] in first]
    there = {row[1].strip("`") for table in found for row in table.rows}
    if missing := [name for name in names if name not in there]:
        raise ValueError(f"{results} has no row of {', '.join(missing)}")
    parts = []
    for table in found:
        if of_names := table.of(names):
            lines = [table.heading, ["---"] * len(table.heading), *of_names]
            anchor = ANCHORS[table.heading[0]]
            parts.append("\n".join("| " + " | ".join(line) + " |" for line in lines))
            parts.append(f"Columns and command: [results]({link}#{anchor}).")
    return "\n\n".join(parts)
