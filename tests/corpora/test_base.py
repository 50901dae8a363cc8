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
        (table(member=[1.5, 0.0]), "row 1 ('1.5');"),
        (
            table(speaker=[["s"], {"t": 1}]),
            "speaker is neither text in UTF-8 nor a number in 2 of 2 rows: row 1 (list); row 2 (dict); write",
        ),
        (
            table(text=["a", float("inf")]),
            "text is neither text in UTF-8 nor a number in 1 of 2 rows: row 2 (float)",
        ),
        (table(id=["a", "b\rc"]), "here: id with a line break or control character"),
        (table().astype(object).assign(id=pd.Series(["a", "b\ud800"], dtype=object)), "row 2 ('b\\ud800'); write one"),
        (table(speaker=["=1+1", "t"]), "or that begins with = in 1 of 2 rows: row 1 ('=1+1')"),
        (table(path=["/a\0.wav", "/b.wav"]), "here: path with a line break"),
        (table(text=["a\0", "b"]), "here: text with a line break"),
        (table(id=["e\u0301", "\xe9"]), "here: duplicate id in 2 of 2 rows"),
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


def test_one_person_has_one_name_in_any_form_of_unicode():
    rows = pd.concat([table()] * 2, ignore_index=True).assign(id=list("abcd"))
    rows["speaker"] = ["Jos\u00e9", "Jose\u0301", "Jos\u00e9\u200b", " Jos\u00e9"]
    assert check_table(rows, "here")["speaker"].tolist() == ["Jos\u00e9"] * 4


def test_files_are_found_in_either_form_of_unicode(tmp_path):
    folder = tmp_path / "Jose\u0301"
    folder.mkdir()
    (folder / "u\u0308.wav").touch()
    composed = f"{tmp_path}/Jos\u00e9/\u00fc.wav"
    checked = check_table(table(path=[composed, f"{tmp_path}/\u00e9.wav"]), "here")
    assert checked["path"].tolist() == [str(folder / "u\u0308.wav"), f"{tmp_path}/\u00e9.wav"]


def test_spellings_of_membership():
    rows = pd.concat([table()] * 4, ignore_index=True).assign(id=list("abcdefgh"))
    rows["member"] = ["1.0", 0.0, True, False, "TRUE", "false", np.float64(1), " held_back "]
    assert check_table(rows, "here")["member"].tolist() == ["1", "0", "1", "0", "1", "0", "1", "held_back"]


def test_values_that_are_not_a_number_are_missing():
    rows = table(text=[float("nan"), pd.NA], session=[np.float32("nan"), pd.NaT])
    checked = check_table(rows, "here")
    assert checked["text"].tolist() == checked["session"].tolist() == ["", ""]
