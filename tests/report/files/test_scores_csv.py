import csv
from dataclasses import replace

import numpy as np
import pytest

from lightning_mia.evaluation.scores import Scores
from lightning_mia.report.files.scores_csv import COLUMNS, read_scores, write_scores
from lightning_mia.utilities.errors import InputError

HARD = np.array([0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, np.nextafter(1.0, 2.0), -1 / 3])
UNITS = ["a,b", 'the "best"', "two\nor\rthree\r\nlines", "naïve ☃", "<b>&amp;", " space "]


@pytest.fixture
def hard_scores():
    members = np.arange(6) % 2 == 0
    return Scores("attack", "utterance", "grey-box", False, np.array(UNITS), np.array(UNITS[::-1]), members, HARD)


@pytest.fixture
def hard_result(planted_report):
    return replace(planted_report.attacks[2], name="attack", n_members=3, n_nonmembers=3)


def test_scores_and_names_survive_a_round_trip_exactly(tmp_path, hard_scores, hard_result):
    write_scores(tmp_path / "scores.csv", [hard_scores])
    (back,) = read_scores(tmp_path / "scores.csv", [hard_result])
    assert back.values.tobytes() == HARD.tobytes()
    assert back.unit_ids.tolist() == UNITS
    assert back.speakers.tolist() == UNITS[::-1]
    assert back.members.tolist() == hard_scores.members.tolist()
    assert (back.name, back.level, back.access, back.two_sided) == ("attack", "utterance", "grey-box", False)


def test_names_are_no_formulas_in_a_spreadsheet(tmp_path, hard_scores, hard_result):
    names = np.array(["-4b", "+1", "@home", "'-4b", "a-b", "=1"])
    write_scores(tmp_path / "scores.csv", [replace(hard_scores, unit_ids=names, speakers=names)])
    cells = [row["speaker"] for row in csv.DictReader((tmp_path / "scores.csv").read_text().splitlines())]
    assert cells == ["'-4b", "'+1", "'@home", "''-4b", "a-b", "'=1"]
    (back,) = read_scores(tmp_path / "scores.csv", [hard_result])
    assert (back.unit_ids.tolist(), back.speakers.tolist()) == (names.tolist(), names.tolist())


@pytest.mark.slow
def test_rows_are_read_in_chunks(tmp_path, planted_report, monkeypatch):
    write_scores(tmp_path / "scores.csv", planted_report.scores)
    results = [*planted_report.attacks, *planted_report.controls]
    whole = read_scores(tmp_path / "scores.csv", results)
    monkeypatch.setattr("lightning_mia.report.files.scores_csv.CHUNK_ROWS", 7)
    for one, in_parts in zip(whole, read_scores(tmp_path / "scores.csv", results), strict=True):
        for name in ("unit_ids", "speakers", "members", "values"):
            np.testing.assert_array_equal(getattr(one, name), getattr(in_parts, name))


def test_the_file_has_the_columns_of_the_contract(tmp_path, planted_report):
    write_scores(tmp_path / "scores.csv", planted_report.scores)
    with open(tmp_path / "scores.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS == ("attack", "level", "unit_id", "speaker", "member", "score")
    assert len(rows) == sum(map(len, planted_report.scores))
    assert {row["member"] for row in rows} == {"0", "1"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("attack,utterance,u,s,2,0.5", "row 2: expected attack,level"),
        ("attack,utterance,u,s,1,high", "row 2: expected attack,level"),
        ("attack,utterance,u,s,1", "row 2: expected attack,level"),
        ("attack,utterance,u,s,1,0.5,more", "row 2: expected attack,level"),
        ("", "row 2: expected attack,level"),
        ("attack,utterance,u,s,1,0.5", "1 members and 0 non-members of 'attack' at utterance level, but"),
        ("other,utterance,u,s,1,0.5", "0 members and 0 non-members of 'attack' at utterance level, but"),
    ],
)
def test_invalid_rows_are_rejected_in_one_line(tmp_path, hard_result, row, message):
    path = tmp_path / "scores.csv"
    path.write_text(f"{','.join(COLUMNS)}\n{row}\n", encoding="utf-8")
    with pytest.raises(InputError, match=message) as raised:
        read_scores(path, [hard_result])
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_scores_that_are_not_finite_are_rejected(tmp_path, hard_scores, hard_result):
    write_scores(tmp_path / "scores.csv", [hard_scores])
    text = (tmp_path / "scores.csv").read_text(encoding="utf-8").replace("5e-324", "nan")
    (tmp_path / "scores.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="not finite"):
        read_scores(tmp_path / "scores.csv", [hard_result])


@pytest.mark.parametrize("content", [None, b"", b"id,path\n", b"\xff\xfe\x00"])
def test_other_files_are_rejected(tmp_path, hard_result, content):
    path = tmp_path / "scores.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="run the audit again"):
        read_scores(path, [hard_result])
