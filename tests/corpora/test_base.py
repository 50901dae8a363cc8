"""Tests of the validation of utterance tables."""

import numpy as np
import pandas as pd
import pytest

from lightning_mia.corpora.base import check_table
from lightning_mia.utilities.errors import InputError


def table(**columns: list) -> pd.DataFrame:
    return pd.DataFrame({"id": ["a", "b"], "path": ["/a.wav", "/b.wav"], "speaker": ["s", "t"], **columns})


def test_keeps_known_columns_as_text_and_renumbers_rows():
    rows = table(id=[1, 2], session=["x", np.nan], member=[1, None], duration=["1.5", ""], age=[30, 40])
    rows["accent"], rows["gender"] = ["Fife", None], ["female", np.nan]
    rows["member"] = rows["member"].astype(object)
    rows.loc[0, "member"] = 1
    checked = check_table(rows.set_axis([7, 9]), "here")
    assert list(checked.columns) == ["id", "path", "speaker", "duration", "session", "gender", "accent", "member"]
    assert checked["id"].tolist() == ["1", "2"]
    assert checked["session"].tolist() == ["x", ""]
    assert checked["member"].tolist() == ["1", ""]
    assert checked["gender"].tolist() == ["female", ""]
    assert checked["accent"].tolist() == ["Fife", ""]
    np.testing.assert_array_equal(checked["duration"], [1.5, np.nan])
    assert checked.index.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (table().iloc[:0], "here: no utterances"),
        (table().drop(columns=["speaker", "path"]), "here: no column path, speaker; found id;"),
        (table(id=["a", ""]), "here: empty id in 1 of 2 rows: row 2;"),
        (table(path=[None, "/b.wav"]), "here: empty path in 1 of 2 rows: row 1;"),
        (table(speaker=["s", np.nan]), "here: empty speaker in 1 of 2 rows: row 2;"),
        (table(id=["a", "a"]), "here: duplicate id in 2 of 2 rows: row 1 ('a'); row 2 ('a');"),
        (
            table(member=["yes", "1"]),
            "here: unknown member value in 1 of 2 rows: row 1 ('yes'); use 1, 0, held_back",
        ),
        (table(member=[1.0, 0.0]), "row 1 ('1.0'); row 2 ('0.0')"),
        (
            table(duration=["1", "long"]),
            "here: duration that is not a number of seconds in 1 of 2 rows: row 2 ('long')",
        ),
        (table(duration=[1, -1]), "row 2 ('-1')"),
    ],
)
def test_errors_name_the_problem_and_the_row(rows, message):
    with pytest.raises(InputError) as error:
        check_table(rows, "here")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_rows_are_named_by_line_if_the_source_has_lines():
    rows = table(speaker=["s", ""]).set_axis(pd.Index([4, 8], name="line"))
    with pytest.raises(InputError, match="line 8;"):
        check_table(rows, "here")


def test_many_invalid_rows_are_counted():
    rows = pd.concat([table(speaker=["", ""])] * 5, ignore_index=True)
    with pytest.raises(InputError, match="in 10 of 10 rows: row 1; row 2; row 3; row 4; row 5; and 5 more;"):
        check_table(rows, "here")
