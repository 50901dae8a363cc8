"""What publishers tell about speakers, brought into the table in one vocabulary."""

from collections.abc import Mapping

import pandas as pd

GENDERS = {
    "f": "female",
    "female": "female",
    "female_feminine": "female",  # Common Voice from release 17 on
    "m": "male",
    "male": "male",
    "male_masculine": "male",
}
"""The publishers' words, in lower case, for the two values that a match of two corpora has to agree on."""


def gender_of(published: str) -> str:
    """Translate a publisher's word for a gender; words that are not in `GENDERS` stay as they are.

    >>> gender_of(" F "), gender_of("male_masculine"), gender_of("non-binary"), gender_of("")
    ('female', 'male', 'non-binary', '')
    """
    return GENDERS.get(published.strip().lower(), published.strip())


def add_facts(table: pd.DataFrame, column: str, facts: Mapping[str, str]) -> None:
    """Add a column from a list by speaker; where the list tells nothing of these speakers, add none."""
    values = [facts.get(speaker, "") for speaker in table["speaker"]]
    if any(values):
        table[column] = values


def speaker_facts(table: pd.DataFrame) -> pd.DataFrame:
    """Gender and accent of every recording's speaker, index = id; "" where the corpus does not tell."""
    facts = {name: table[name].to_list() if name in table else "" for name in ("gender", "accent")}
    return pd.DataFrame(facts, index=pd.Index(table["id"].to_list(), name="id"))
