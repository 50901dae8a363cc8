from dataclasses import replace

from lightning_mia.evaluation.privacy import EpsilonBound, Privacy
from lightning_mia.evaluation.results import Exposure, Verdict
from lightning_mia.evaluation.speaker_risk import SpeakerRisk, SpeakerRisks
from lightning_mia.report.content.data_protection import INTRODUCTION, data_protection
from lightning_mia.report.content.finding import finding


def test_the_questions_are_answered_by_the_figures(planted_report):
    answers = dict(data_protection(planted_report))
    assert list(answers) == [
        "Does the model reveal whose recordings trained it?",
        "By which means, and by whom?",
        "Could the test have missed it?",
        "Is the result due to the choice of recordings?",
        "What do these figures not answer?",
    ]
    assert answers["Does the model reveal whose recordings trained it?"] == " ".join(finding(planted_report))
    assert "grey-box (also computes the training loss): finds members" in answers["By which means, and by whom?"]
    assert "6 attacks were run (black-box, grey-box)" in answers["Could the test have missed it?"]
    assert "drawn at random by this tool" in answers["Is the result due to the choice of recordings?"]
    assert "Opinion 28/2024" in INTRODUCTION
    assert "no legal assessment" in INTRODUCTION


def test_without_a_model_there_are_no_answers(planted_blind_report):
    assert data_protection(planted_blind_report) == ()


def test_a_silent_run_without_positive_control_says_so(planted_report):
    silent = replace(planted_report, verdict=Verdict("no_evidence", "nothing", ()))
    assert dict(data_protection(silent))["Could the test have missed it?"].endswith("No positive control was run.")
    controlled = replace(silent, exposures=(Exposure(8, 1.0, ()),))
    assert "A positive control was run" in dict(data_protection(controlled))["Could the test have missed it?"]


def test_a_proven_bound_is_rounded_up_and_a_shown_one_down(planted_report):
    bound = EpsilonBound("lira", "utterance", "grey-box", "one_run", 1e-5, 1.9, 1.469, 1000, 124, 110)
    report = replace(planted_report, privacy=Privacy(1e-5, 8.001, 1.469, "lira"), epsilon_bounds=(bound,))
    text = dict(data_protection(report))["Is there a proven bound?"]
    assert "proves ε ≤ 8.01 for one recording, at δ = 1e-05" in text
    assert "ε is at least 1.46" in text
    approximate = replace(report, privacy=None, epsilon_bounds=(replace(bound, method="rates"),))
    assert dict(data_protection(approximate))["Is there a proven bound?"] == (
        "No: the training had no differential privacy."
    )


def test_persons_at_risk_are_counted_and_not_named(planted_report):
    risk = SpeakerRisk("speaker 1", 10, 10, 5, 0.1, 0.9, (0.8, 0.95), 0.9, "own_nonmembers", 0.001, 0.01, 0.001)
    cases = {
        "1 of 2 speakers stand out": (risk, replace(risk, speaker="speaker 2", p_value_corrected=0.4)),
        "None of 1 speakers stands out": (replace(risk, p_value_corrected=0.4),),
        "Not known": (replace(risk, p_value_corrected=0.4, smallest_p_corrected=0.2),),
    }
    for start, risks in cases.items():
        report = replace(planted_report, speaker_risks=SpeakerRisks("pretext_loss", "utterance", False, risks, 0, 0))
        text = dict(data_protection(report))["Are some persons at higher risk?"]
        assert text.startswith(start)
        assert "speaker 1" not in text
