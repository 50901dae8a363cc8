"""Slices and per-speaker risks of the decisive attack."""

from dataclasses import replace

import pytest

from lightning_mia.audit.breakdown import add_breakdown
from lightning_mia.audit.cli import main
from lightning_mia.evaluation.results import Verdict
from lightning_mia.report import AuditReport, write_report
from lightning_mia.report.content.breakdown_text import uncut_properties
from tests.planted_report import make_small_report, make_units


@pytest.fixture(scope="module")
def report() -> AuditReport:
    return make_small_report()


@pytest.fixture(scope="module")
def complete_report(report) -> AuditReport:
    return add_breakdown(replace(report, units=make_units(report.scores[0])))


def test_slices_and_risks_are_of_the_decisive_attack(complete_report):
    assert (complete_report.speaker_risks.attack, complete_report.speaker_risks.level) == ("pretext_loss", "utterance")
    assert len(complete_report.speaker_risks.speakers) == 20
    assert dict.fromkeys(one.by for one in complete_report.slices) == dict.fromkeys(
        ["level of the recording", "gender"]
    )
    assert uncut_properties(complete_report) == ["duration", "accent"]
    assert sum(one.n_members for one in complete_report.slices if one.by == "gender") == 200


def test_existing_slices_and_risks_are_kept(complete_report):
    assert add_breakdown(complete_report) == complete_report


def test_a_report_that_is_not_assessable_gets_neither(report):
    report = replace(report, verdict=Verdict("not_assessable", "The sides differ.", ()))
    assert add_breakdown(report) == report


def test_without_units_there_are_risks_but_no_slices(report):
    report = add_breakdown(report)
    assert report.slices is None
    assert report.speaker_risks is not None


@pytest.mark.slow
def test_the_report_command_completes_results_of_earlier_versions(report, tmp_path):
    write_report(tmp_path / "old" / "report", report)
    write_report(tmp_path / "new" / "report", add_breakdown(report))
    assert not (tmp_path / "old" / "report" / "speakers.csv").exists()
    assert main(["report", str(tmp_path / "old")]) == 0
    for name in ("report.html", "report.md", "speakers.csv"):
        assert (tmp_path / "old" / "report" / name).read_bytes() == (tmp_path / "new" / "report" / name).read_bytes()
