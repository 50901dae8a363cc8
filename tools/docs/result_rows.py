"""Rows of the tables on the results page, to be shown again where an attack is described."""

from pathlib import Path

HEADING = "| model, access | attack |"


def rows(results: Path, names: list[str], link: str) -> str:
    """The rows of some attacks from the tables of audits with shadow models.

    Args:
        results: the page with the tables.
        names: of the attacks.
        link: to that page.

    Raises:
        ValueError: a table has none of them.
    """
    heading: list[str] = []
    found: list[str] = []
    model = ""
    for line in results.read_text(encoding="utf-8").splitlines():
        if line.startswith(HEADING):
            heading = [line, "|" + "---|" * (line.count("|") - 1)]
        elif heading and line.startswith("|") and not line.startswith("|---"):
            first, attack, *others = (cell.strip() for cell in line.strip("|").split("|"))
            model = first or model
            if attack.strip("`") in names:
                found.append("| " + " | ".join((model, attack, *others)) + " |")
    missing = [name for name in names if not any(f"`{name}`" in row for row in found)]
    if missing:
        raise ValueError(f"{results} has no row of {', '.join(missing)}")
    return (
        "\n".join([*heading, *found]) + f"\n\nWhat the columns are, and the commands: [results]({link}#shadow-models)."
    )
