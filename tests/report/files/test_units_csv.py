import pytest

from lightning_mia.report.audit_report import UnitFacts
from lightning_mia.report.files.units_csv import read_units, write_units
from lightning_mia.utilities.errors import InputError

UNITS = (
    UnitFacts("utterance", 'a,"b"', 0.1 + 0.2, -23.5, "female", ""),
    UnitFacts("utterance", "-4b", 1.0, -2.5, "", "@home"),  # a spreadsheet would take both names for formulas
    UnitFacts("speaker", "ö", 2.0, -30.0),
)


def test_units_survive_a_round_trip(tmp_path):
    write_units(tmp_path / "units.csv", UNITS)
    assert read_units(tmp_path / "units.csv") == UNITS
    assert "utterance,'-4b,1.0,-2.5,,'@home" in (tmp_path / "units.csv").read_text(encoding="utf-8").splitlines()


def test_earlier_runs_have_no_units(tmp_path):
    assert read_units(tmp_path / "units.csv") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "row 1: expected the columns"),
        ("level,unit_id,duration_s,level_dbfs,gender,accent\nutterance,a,long,-3,,\n", "row 2: expected"),
        ("level,unit_id,duration_s,level_dbfs,gender,accent\nutterance,a\n", "row 2: expected"),
    ],
)
def test_invalid_tables_are_rejected_in_one_line(tmp_path, text, message):
    (tmp_path / "units.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message) as raised:
        read_units(tmp_path / "units.csv")
    assert "\n" not in str(raised.value)
