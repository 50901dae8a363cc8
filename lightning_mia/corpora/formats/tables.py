"""Publishers' tables: CSV and TSV files with a header."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from lightning_mia.utilities.errors import InputError

GENDERS = {
    "f": "female",
    "female": "female",
    "female_feminine": "female",  # Common Voice from release 17 on
    "m": "male",
    "male": "male",
    "male_masculine": "male",
}
"""Publishers' names of the two values that different corpora have in common."""


def read_rows(path: Path, delimiter: str = ",", quoted: bool = True) -> Iterator[dict[str, str]]:
    """Yield the rows of a UTF-8 table by column name.

    Missing values are "".

    Args:
        path: the file.
        delimiter: between the columns.
        quoted: fields may be enclosed in double quotes; otherwise a quote is an ordinary character.

    Raises:
        InputError: the file cannot be read or is not a table, or a row has more fields than the header.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
            names = [name.strip() for name in next(reader, [])]
            for values in filter(None, reader):
                if any(values[len(names) :]):
                    problem = f"line {reader.line_num} has {len(values)} fields for {len(names)} columns"
                    raise InputError(f"{path}: {problem}, as with a delimiter within a field; correct it")
                row = dict.fromkeys(names, "")
                row.update((name, value.strip()) for name, value in zip(names, values, strict=False))
                yield row
    except (OSError, ValueError, csv.Error) as error:
        cause = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({cause}); restore it as it was published") from error


def read_column(path: Path, key: str, column: str, delimiter: str = ",") -> dict[str, str]:
    """Read one column of a table, indexed by another.

    The result is empty if the file is missing.

    Args:
        path: the file.
        key: column of the keys, such as speakers.
        column: column of the values; "" if it is missing.
        delimiter: between the columns.

    Raises:
        InputError: the file is not a table.
    """
    if not path.is_file():
        return {}
    return {row.get(key, ""): row.get(column, "") for row in read_rows(path, delimiter)}


def normalise_gender(published: str) -> str:
    """Translate a publisher's name of a gender.

    Names that are not in `GENDERS` are kept.

    >>> normalise_gender(" F "), normalise_gender("male_masculine"), normalise_gender("non-binary")
    ('female', 'male', 'non-binary')
    """
    return GENDERS.get(published.strip().lower(), published.strip())


def add_speaker_column(table: pd.DataFrame, column: str, values: Mapping[str, str]) -> None:
    """Add a column by speaker, unless it would be empty."""
    cells = [values.get(speaker, "") for speaker in table["speaker"]]
    if any(cells):
        table[column] = cells
