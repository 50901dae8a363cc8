"""Tables of signals: delimiters, columns, values, and the matrix that attacks compare."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lightning_mia.audit.signals_csv import read_signals
from lightning_mia.utilities.errors import InputError

ROWS = """id,member,group,target,shadow_000,in_000,shadow_001,in_001
b,0,Bob,-2.0,-1.9,0,-1.5,1
a,1,Ann,-1.2,-1.4,1,-2.2,0
c,,Cy,0.5,1.0,0,2.0,0
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "signals.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("given", [True, False])
def test_every_delimiter_is_read(tmp_path: Path, delimiter: str, given: bool) -> None:
    table = read_signals(write(tmp_path, ROWS.replace(",", delimiter)), delimiter if given else None)
    assert table.ids == ["a", "b"]
    assert table.members.tolist() == [True, False]
    assert table.groups is not None
    assert table.groups.tolist() == ["Ann", "Bob"]
    assert table.target.tolist() == [-1.2, -2.0]
    assert table.shadows.tolist() == [[-1.4, -1.9], [-2.2, -1.5]]
    assert table.inside.tolist() == [[True, False], [False, True]]
    assert table.auxiliary_target.tolist() == [0.5]
    assert table.auxiliary_shadows.tolist() == [[1.0], [2.0]]


def test_an_unusual_delimiter_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read_signals(write(tmp_path, ROWS.replace(",", ";")))
    assert "signals.csv has semicolons between its columns" in caplog.text


def test_pandas_spelling_of_truth_a_byte_order_mark_and_spaces_are_read(tmp_path: Path) -> None:
    text = "\ufeff" + ROWS.replace(",0,", ", False ,").replace(",1,", ",True,")
    assert read_signals(write(tmp_path, text)).members.tolist() == [True, False]


def test_shadow_models_without_masks_are_out_for_all(tmp_path: Path) -> None:
    table = read_signals(write(tmp_path, "id,member,target,shadow_0,shadow_1,text\na,1,1,2,3,x\nb,0,1,2,3,y\n"))
    assert table.groups is None
    assert not table.inside.any()


def test_columns_that_are_not_used_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_signals(write(tmp_path, "id,member,target,text\na,1,1,x\nb,0,1,y\n"))
    assert "columns that are not used: text" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ROWS.replace("-2.0", "x"), r"line 2: target is 'x'; give a finite number"),
        (ROWS.replace("-2.0", "nan"), r"line 2: target is 'nan'"),
        (ROWS.replace("-2.2", "inf"), r"line 3: shadow_001 is 'inf'"),
        (ROWS.replace("b,0", "b,maybe"), r"line 2: member is 'maybe'; give 1, 0, or nothing"),
        (ROWS.replace("-1.5,1", "-1.5,2"), r"line 2: in_001 is '2'; give 1 or 0"),
        (ROWS.replace("Bob", ""), r"line 2: group is ''; give the name of a group"),
        (ROWS.replace("b,0", ",0"), r"line 2: id is ''; give a name"),
        (ROWS.replace("b,0", "a,0"), r"1 ids occur more than once: a"),
        (ROWS.replace(",target", ",loss"), r"line 1: no column target; the columns are id, member, target"),
        (ROWS.replace("in_001", "inside"), r"one of two columns is missing: in_001 and shadow_001"),
        (ROWS.replace("shadow_001", "shadow"), r"one of two columns is missing: in_001 and shadow_001"),
        ("id,member,target,shadow_0,in_0\na,1,1,1,0\n", r"shadow_0 is the only shadow model; give at least 2"),
        ("id,member,target\n", "has no rows below its header"),
        ("", "cannot be read"),
        (
            ROWS.replace(",", ";").replace("-2.0", "-2,0"),
            "target is '-2,0'; give a finite number, with a decimal point",
        ),
    ],
)
def test_bad_tables_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_signals(write(tmp_path, text))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; give a CSV file"):
        read_signals(tmp_path / "nothing.csv")


def table_of(n: int, inside: np.ndarray, auxiliary_inside: np.ndarray, tmp_path: Path) -> Path:
    """Write n evaluated and 30 auxiliary units of 2 shadow models."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"id": [f"u{i:03d}" for i in range(n + 30)], "target": 5 + 3 * rng.normal(size=n + 30)})
    rows["member"] = [*(["1", "0"] * (n // 2)), *[""] * 30]
    for number in range(2):
        rows[f"shadow_{number}"] = rng.normal(size=n + 30)
        rows[f"in_{number}"] = np.concatenate([inside[number], auxiliary_inside[number]]).astype(int)
    rows.to_csv(tmp_path / "signals.csv", index=False)
    return tmp_path / "signals.csv"


def test_signals_are_standardised_by_the_evaluated_units(tmp_path: Path) -> None:
    half = np.arange(40) % 2 == 0
    path = table_of(40, np.stack([half, ~half]), np.zeros((2, 30), bool), tmp_path)
    matrix = read_signals(path).matrix()
    for row in (matrix.target, *matrix.shadows):
        low, centre, high = np.percentile(row, [25, 50, 75])
        assert (centre, high - low) == (pytest.approx(0, abs=1e-12), pytest.approx(1))
    assert matrix.pairs.tolist() == [0, 0]
    assert matrix.auxiliary_target.shape == (30, 1)
    assert matrix.learning_shadows is matrix.shadows or np.array_equal(matrix.learning_shadows, matrix.shadows)


def test_a_pool_teaches_and_the_other_auxiliary_units_are_the_reference(tmp_path: Path) -> None:
    half = np.arange(30) % 2 == 0
    in_pool = np.arange(30) < 8
    path = table_of(40, np.zeros((2, 40), bool), np.stack([half & in_pool, ~half & in_pool]), tmp_path)
    matrix = read_signals(path).matrix()
    assert matrix.learning_members.shape == (2, 8)
    assert matrix.learning_shadows.shape == (2, 8, 1)
    assert matrix.auxiliary_target.shape == (22, 1)
    assert np.median(matrix.auxiliary_target) == pytest.approx(0, abs=1e-12)
    assert not matrix.members.any()
