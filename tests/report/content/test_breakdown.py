import csv
from dataclasses import replace

import numpy as np
import pytest

from lightning_mia.audit.breakdown import add_breakdown
from lightning_mia.evaluation.results import Verdict
from lightning_mia.report.content.breakdown import speaker_notes, speaker_pseudonyms
from lightning_mia.report.content.protocol import limits, protocol
from lightning_mia.report.files.speakers_csv import pseudonyms, write_speakers
from lightning_mia.report.html import render_page
from lightning_mia.report.markdown import render_markdown


def test_pseudonyms_tell_nothing_and_stay_the_same(complete_report, tmp_path):
    names = speaker_pseudonyms(complete_report)
    assert sorted(names.values()) == [f"speaker {number:02d}" for number in range(1, 21)]
    assert list(names) != sorted(names), "the order of names would give them away"
    scores = complete_report.scores[0]
    other = pseudonyms(replace(scores, values=scores.values + 1e-9))
    assert list(other) != list(names), "the order cannot be worked out without the scores"
    assert pseudonyms(scores) == names
    write_speakers(tmp_path / "speakers.csv", names, complete_report.speaker_risks)
    with open(tmp_path / "speakers.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["speaker"]: row["pseudonym"] for row in rows} == names
    best = complete_report.speaker_risks.speakers[0]
    row = next(row for row in rows if row["pseudonym"] == best.speaker)
    mask = scores.speakers == row["speaker"]
    inside, outside = scores.values[mask & scores.members], scores.values[~scores.members]
    assert float(row["auroc"]) == pytest.approx(float((inside[:, None] > outside).mean()))


def test_no_name_stands_in_what_is_handed_on(complete_report):
    text = render_markdown(complete_report)
    assert "Zo" not in text
    shown = render_markdown(
        complete_report, {pseudonym: name for name, pseudonym in speaker_pseudonyms(complete_report).items()}
    )
    assert "Zoë &amp; &lt;00>" in shown


def test_the_page_has_speakers_and_slices_and_names_only_where_they_are_asked_for(complete_report):
    names = {pseudonym: name for name, pseudonym in speaker_pseudonyms(complete_report).items()}
    page, shown = render_page(complete_report, (), ()), render_page(complete_report, (), (), names)
    for text in ("Zoë", "a&lt;b&gt;&amp;c", "/data/"):
        assert text not in page
        assert text in shown
    assert "1: silent: every sample is 0" in page
    assert 'class="results speakers sortable"' in page
    for one in (*complete_report.slices, *complete_report.speaker_risks.speakers):
        assert f"<b>{one.auroc:.3f}</b>" in page
    assert "Not cut by duration, accent" in page
    assert page.count('class="tag leak">found<') == sum(
        one.p_value_corrected < 0.05 for one in complete_report.speaker_risks.speakers
    )


def test_a_page_that_is_not_assessable_says_why_speakers_are_left_out(small_report):
    report = replace(small_report, verdict=Verdict("not_assessable", "The sides differ.", ()))
    assert "Left out: the controls do not allow a conclusion" in render_page(add_breakdown(report), (), ())


def test_the_notes_count_the_comparisons(complete_report):
    notes = " ".join(speaker_notes(complete_report.speaker_risks))
    n_marked = sum(one.p_value_corrected < 0.05 for one in complete_report.speaker_risks.speakers)
    assert "20 speakers were compared, and of many some stand out by chance" in notes
    assert f"are marked, here {n_marked}." in notes
    assert "the same speaker's non-members" in notes


def test_where_nobody_can_be_marked_the_notes_say_so(complete_report):
    risks = complete_report.speaker_risks
    few = replace(risks, speakers=tuple(replace(one, smallest_p_corrected=0.08) for one in risks.speakers))
    assert "no speaker can be marked, however well found" in " ".join(speaker_notes(few))
    assert "no speaker can be marked" not in " ".join(speaker_notes(risks))


def test_the_protocol_says_who_was_in_and_how_it_was_judged(planted_report):
    told = dict(protocol(planted_report))
    assert list(told) == ["Who was in", "Training", "Questions", "Controls", "AuditOutcome", "Machine and time"]
    assert "drawn at random by this tool (seed 0), recording by recording" in told["Who was in"]
    assert planted_report.split.sha256 in told["Who was in"]
    assert "200 recordings of 20 speakers (0.31 h) (seed 1)" in told["Training"]
    assert "redrawing the split 1\u2009000 times" in told["AuditOutcome"]
    assert "torch 2.14.1" in told["Machine and time"]


def test_the_protocol_of_a_split_that_was_brought_and_of_a_checkpoint(planted_report):
    brought = replace(planted_report, split=replace(planted_report.split, drawn=False, n_held_back=7))
    brought = replace(brought, provenance=replace(brought.provenance, models=()))
    told = dict(protocol(brought))
    assert "this tool drew nothing" in told["Who was in"]
    assert "7 recordings of members were held back" in told["Who was in"]
    assert "came as a checkpoint and was not trained here" in told["Training"]


def test_queries_stand_in_the_protocol(planted_fleet_report):
    assert "8 to 24 waveforms for each recording" in dict(protocol(planted_fleet_report))["Questions"]


def test_limits_name_what_was_tried(planted_report, planted_blind_report):
    first = limits(planted_report)[0]
    assert first.startswith("Tried: utterance level (black-box, grey-box); speaker level (black-box, grey-box)")
    assert limits(planted_blind_report) == ()


def test_markdown_has_every_result_and_well_formed_tables(planted_fleet_report):
    text = render_markdown(planted_fleet_report)
    for one in planted_fleet_report.attacks:
        assert one.name.replace("_", "\\_") in text
        assert f"{one.auroc:.3f}" in text
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("|---"):
            assert line.count("|") == lines[number - 1].count("|") == lines[number + 1].count("|")
    assert planted_fleet_report.provenance.command in text
    assert not np.any(["None" in line and "None: a control" not in line for line in lines])


def test_markdown_of_what_users_name_is_text(planted_report):
    report = replace(planted_report, notes=("<script>alert(1)</script> | *x*",))
    text = render_markdown(report)
    assert "<script" not in text
    assert "&lt;script>alert(1)&lt;/script> \\| \\*x\\*" in text
