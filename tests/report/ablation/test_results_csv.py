from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from lightning_mia.report.ablation.results_csv import read_table, write_table
from lightning_mia.utilities.errors import InputError

FACTORS = ["size", "epochs"]


def test_a_table_survives_a_round_trip(table: pd.DataFrame, tmp_path: Path) -> None:
    write_table(table, tmp_path)
    pd.testing.assert_frame_equal(read_table(tmp_path, FACTORS), table)


def test_parquet_has_the_same_rows(table: pd.DataFrame, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    write_table(table.assign(size=[25, "all"] * (len(table) // 2)), tmp_path)
    read = pd.read_parquet(tmp_path / "results.parquet")
    assert set(read["size"]) == {"25", "all"}
    pd.testing.assert_series_equal(read["auroc"], table["auroc"])


SPOILT: dict[str, tuple[Callable[[str], str], str]] = {
    "binary": (lambda _: "\x00\x01\ufffd\n\x00", "no column|cannot be read"),
    "empty": (lambda _: "", "cannot be read"),
    "another table": (lambda _: "a,b\n1,2\n", "no column size"),
    "a figure that is none": (lambda text: text.replace("0.4,0.9", "x,0.9", 1), "row 2: auroc_lo is 'x'"),
    "half a row": (lambda text: text[: text.rindex(",grey-box") - 14], "rows without"),
    "too many cells": (lambda text: text + "1," * 50, "cannot be read"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_damaged_tables_are_rejected_in_one_line(kind: str, table: pd.DataFrame, tmp_path: Path) -> None:
    spoil, told = SPOILT[kind]
    write_table(table, tmp_path)
    path = tmp_path / "results.csv"
    path.write_text(spoil(path.read_text()))
    with pytest.raises(InputError, match=told) as error:
        read_table(tmp_path, FACTORS)
    assert "\n" not in str(error.value)
    assert "delete it" in str(error.value)
