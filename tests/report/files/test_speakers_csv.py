import csv
from dataclasses import replace

import pytest

from lightning_mia.report.content.breakdown_text import speaker_pseudonyms
from lightning_mia.report.files.speakers_csv import pseudonyms, write_speakers


def test_pseudonyms_are_reproducible_and_reveal_no_order(complete_report):
    names = speaker_pseudonyms(complete_report)
    assert sorted(names.values()) == [f"speaker {number:02d}" for number in range(1, 21)]
    assert list(names) != sorted(names), "the order of names would give them away"
    scores = complete_report.scores[0]
    other = pseudonyms(replace(scores, values=scores.values + 1e-9))
    assert list(other) != list(names), "the order cannot be worked out without the scores"
    assert pseudonyms(scores) == names


def test_the_table_maps_pseudonyms_to_names_and_risks(complete_report, tmp_path):
    names, scores = speaker_pseudonyms(complete_report), complete_report.scores[0]
    write_speakers(tmp_path / "speakers.csv", names, complete_report.speaker_risks)
    with open(tmp_path / "speakers.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["speaker"]: row["pseudonym"] for row in rows} == names
    best = complete_report.speaker_risks.speakers[0]
    row = next(row for row in rows if row["pseudonym"] == best.speaker)
    mask = scores.speakers == row["speaker"]
    members, nonmembers = scores.values[mask & scores.members], scores.values[~scores.members]
    assert float(row["auroc"]) == pytest.approx(float((members[:, None] > nonmembers).mean()))


def test_names_are_no_formulas_in_a_spreadsheet(tmp_path):
    write_speakers(tmp_path / "speakers.csv", {"-4b": "speaker 1", "anna": "speaker 2"}, None)
    rows = [row.split(",")[1] for row in (tmp_path / "speakers.csv").read_text(encoding="utf-8").splitlines()]
    assert rows == ["speaker", "'-4b", "anna"]
