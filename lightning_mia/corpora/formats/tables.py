"""Tables that publishers add to their recordings: CSV and TSV files with a header."""

import csv
from collections.abc import Iterator
from pathlib import Path

from lightning_mia.utilities.errors import InputError


def read_rows(path: Path, delimiter: str = ",", quoted: bool = True) -> Iterator[dict[str, str]]:
    """Yield the rows of a table in UTF-8, by column; names and values are stripped, missing values are "".

    Args:
        path: the file.
        delimiter: between the columns.
        quoted: a field may be enclosed in double quotes; otherwise a quote is a character like any other.

    Raises:
        InputError: the file cannot be read, or is not such a table.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
            names = [name.strip() for name in next(reader, [])]
            for values in filter(None, reader):
                row = dict.fromkeys(names, "")
                row.update((name, value.strip()) for name, value in zip(names, values, strict=False))
                yield row
    except (OSError, ValueError, csv.Error) as error:
        what = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({what}); restore it as it was published") from error


def facts_by(path: Path, key: str, fact: str, delimiter: str = ",") -> dict[str, str]:
    """Read one column of a publisher's list, by another (the speaker, say); {} where there is no such file.

    Args:
        path: the list.
        key: name of the column that is looked up.
        fact: name of the column that is read; "" where it is missing.
        delimiter: between the columns.

    Raises:
        InputError: the file is there, but is not such a table.
    """
    if not path.is_file():
        return {}
    return {row.get(key, ""): row.get(fact, "") for row in read_rows(path, delimiter)}
