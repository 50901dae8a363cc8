"""Parsing of the stages of the 960-hour audit."""

import pytest

from tools.benchmark.measures.scale import parse

PRINTED = """28,124 utterances of 234 speakers, 16 shadow models
corpus table, imports             1.2 s processor     1.9 s wall   peak 0.31 GB
attacks and evaluation           40.5 s processor    61.2 s wall   peak 1.25 GB
leak; rmia AUROC 0.561; page of 0.4 MB
report                            2.0 s processor     2.1 s wall   peak 1.30 GB
"""


def test_stages_become_rows_and_points() -> None:
    *stages, peak = parse(PRINTED)
    assert [(row.what, row.value) for row in stages] == [
        ("corpus table, imports, 28,124 utterances", 1.2),
        ("attacks and evaluation, 28,124 utterances", 40.5),
        ("report, 28,124 utterances", 2.0),
    ]
    assert "AUROC 0.561" in stages[-1].note
    assert (peak.value, peak.unit) == (1.30, "GB")
    assert all(row.point and row.point.x == 28_124 for row in (*stages, peak))


def test_other_output_is_an_error() -> None:
    with pytest.raises(ValueError, match="printed no table of stages"):
        list(parse("Traceback\n"))
