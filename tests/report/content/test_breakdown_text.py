from dataclasses import replace

from lightning_mia.audit.breakdown import add_breakdown
from lightning_mia.evaluation.results import Verdict
from lightning_mia.report.content.breakdown_text import speaker_notes, speaker_pseudonyms
from lightning_mia.report.html import render_page
from lightning_mia.report.markdown import render_markdown


def test_the_page_has_risks_and_slices_and_shows_names_only_on_request(complete_report):
    names = {pseudonym: name for name, pseudonym in speaker_pseudonyms(complete_report).items()}
    page, with_names = render_page(complete_report, (), ()), render_page(complete_report, (), (), names)
    for text in ("Zoë", "a&lt;b&gt;&amp;c", "/data/"):
        assert text not in page
        assert text in with_names
    assert "1: silent: every sample is 0" in page
    assert 'class="results speakers sortable"' in page
    for part in (*complete_report.slices, *complete_report.speaker_risks.speakers):
        assert f"<b>{part.auroc:.3f}</b>" in page
    assert "Not sliced by duration, accent" in page
    assert page.count('class="tag leak">significant<') == sum(
        risk.p_value_corrected < 0.05 for risk in complete_report.speaker_risks.speakers
    )


def test_a_report_that_is_not_assessable_explains_the_missing_section(small_report):
    report = add_breakdown(replace(small_report, verdict=Verdict("not_assessable", "The sides differ.", ())))
    for text in (render_page(report, (), ()), render_markdown(report)):
        assert "Omitted: the controls do not allow a conclusion" in text
    assert "Omitted: the controls" not in render_markdown(small_report)


def test_the_notes_count_the_comparisons(complete_report):
    notes = " ".join(speaker_notes(complete_report.speaker_risks))
    n_marked = sum(risk.p_value_corrected < 0.05 for risk in complete_report.speaker_risks.speakers)
    assert "20 speakers were compared, and some may stand out by chance" in notes
    assert f"are marked: {n_marked} here." in notes
    assert "the same speaker's non-members" in notes


def test_the_notes_say_if_no_speaker_can_be_marked(complete_report):
    risks = complete_report.speaker_risks
    few = replace(risks, speakers=tuple(replace(risk, smallest_p_corrected=0.08) for risk in risks.speakers))
    assert "no speaker can be marked: even a perfect separation" in " ".join(speaker_notes(few))
    assert "no speaker can be marked" not in " ".join(speaker_notes(risks))
