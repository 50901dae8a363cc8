"""The first sentences of the report, for every status and edge case."""

import re
from dataclasses import replace

import pytest

from lightning_mia.evaluation.results import Exposure, LevelVerdict, TprAtFpr, Verdict, VersusSiblings
from lightning_mia.report import AuditReport, FleetSummary
from lightning_mia.report.content.access_row import access_row
from lightning_mia.report.content.finding import finding, found

WHO = "Anyone who can compute the model's training loss (grey-box access)"


def rate(fpr: float, tpr: float, interval: tuple[float, float], resolvable: bool = True) -> TprAtFpr:
    return TprAtFpr(fpr, fpr, (0.0, 2 * fpr), tpr, interval, resolvable)


RESOLVED = rate(0.01, 0.31, (0.25, 0.385))
TOO_FEW = rate(0.01, 0.92, (0.0, 0.99), resolvable=False)
TENTH = rate(0.1, 0.99, (0.91, 1.0))


def with_attack(report: AuditReport, status: str = "leak", **changes) -> AuditReport:
    """The report with one attack, pretext_loss at utterance level, and a verdict that rests on it."""
    attack = replace(report.attacks[2], **changes)
    family = LevelVerdict(attack.level, attack.access, status, "reason", attack.name, attack.part)
    scores = (replace(report.scores[2], access=attack.access), *report.scores[len(report.attacks) :])
    return replace(report, attacks=(attack,), scores=scores, verdict=Verdict(status, "reason", (family,)))


def with_verdicts(report: AuditReport, status: str, *verdicts: LevelVerdict) -> AuditReport:
    return replace(report, verdict=Verdict(status, "reason", verdicts))


def grey(status: str, attack: str | None = "pretext_loss", **changes) -> LevelVerdict:
    return LevelVerdict("utterance", "grey-box", status, "reason", attack, **changes)


def black(status: str, attack: str | None = "utterance_similarity", **changes) -> LevelVerdict:
    return LevelVerdict("utterance", "black-box", status, "reason", attack, **changes)


def test_a_leak_says_who_finds_how_many(planted_report):
    assert finding(with_attack(planted_report, tpr_at_fpr=(RESOLVED,))) == (
        f"{WHO} could find 31 of 100 training recordings while naming 1 of 100 other recordings wrongly (95 % interval "
        "25 to 38).",
    )


def test_a_rate_that_few_non_members_decide_is_not_quoted(planted_report):
    """The next false positive rate that is resolved is quoted instead, and the reason given."""
    first, second = finding(with_attack(planted_report, tpr_at_fpr=(TOO_FEW, TENTH)))
    assert first == (
        f"{WHO} could find 99 of 100 training recordings while naming 10 of 100 other recordings wrongly (95 % "
        "interval 91 to 100)."
    )
    assert second == (
        "How many it would find while naming only 1 of 100 wrongly cannot be said: only 200 others were tested."
    )
    assert "92" not in first + second


@pytest.mark.parametrize("rates", [(TOO_FEW,), (rate(0.01, 1.0, (0.0, 1.0)),)])
def test_without_a_supported_rate_there_is_no_number(planted_report, rates):
    (sentence,) = finding(with_attack(planted_report, tpr_at_fpr=rates))
    assert sentence.startswith(f"{WHO} can tell training recordings from other recordings better than by chance.")
    assert "cannot be said" in sentence
    assert "of 100 training" not in sentence


def test_without_rates_the_number_was_not_measured(planted_report):
    (sentence,) = finding(with_attack(planted_report, tpr_at_fpr=()))
    assert sentence.endswith("How many of 100 it would find was not measured.")


def test_a_two_sided_attack_whose_members_score_lower_has_no_number(planted_report):
    (sentence,) = finding(with_attack(planted_report, tpr_at_fpr=(RESOLVED,), two_sided=True, auroc=0.1))
    assert sentence.endswith(
        "better than by chance. How many of 100 it would find is not known: members have the lower scores."
    )
    (sentence,) = finding(with_attack(planted_report, tpr_at_fpr=(RESOLVED,), two_sided=True, auroc=0.9))
    assert "31 of 100" in sentence


def test_no_more_than_a_guess_is_called_so(planted_report):
    (sentence,) = finding(with_attack(planted_report, tpr_at_fpr=(rate(0.01, 0.015, (0.0, 0.045)),)))
    assert sentence == (
        f"{WHO} can tell training recordings from other recordings better than by chance, but is not shown to find "
        "more than a guess would while naming 1 of 100 other recordings wrongly: 1.5 of 100 (95 % interval 0 to 4.5)."
    )


def test_a_finer_rate_is_counted_per_thousand(planted_report):
    (sentence,) = finding(with_attack(planted_report, tpr_at_fpr=(rate(0.001, 0.2, (0.1, 0.3)),)))
    assert "20 of 100 training recordings while naming 1 of 1\u2009000 other recordings wrongly" in sentence


def test_shadow_models_of_the_challenge_set_are_an_upper_bound(planted_report):
    report = with_attack(planted_report, tpr_at_fpr=(RESOLVED,), n_shadows=4)
    bound = "This is an auditor's upper bound"
    assert finding(replace(report, fleet=FleetSummary(4, "challenge")))[-1].startswith(bound)
    assert not any(bound in text for text in finding(replace(report, fleet=FleetSummary(4, "auxiliary"))))


def test_the_least_access_comes_first_and_then_what_was_not_found(planted_report):
    white = replace(planted_report.attacks[2], name="relearn", access="white-box", tpr_at_fpr=(RESOLVED,))
    loss = replace(planted_report.attacks[2], tpr_at_fpr=(rate(0.01, 0.1, (0.05, 0.2)),))
    scores = replace(planted_report.scores[2], name="relearn", access="white-box")
    report = replace(
        planted_report,
        attacks=(*planted_report.attacks[:2], loss, white),
        controls=(),
        scores=(*planted_report.scores[:3], scores),
        verdict=Verdict(
            "leak",
            "reason",
            (
                LevelVerdict("utterance", "white-box", "leak", "reason", "relearn"),
                grey("leak"),
                black("no_evidence"),
            ),
        ),
    )
    assert finding(report) == (
        f"{WHO} could find 10 of 100 training recordings while naming 1 of 100 other recordings wrongly (95 % interval "
        "5 to 20).",
        "With white-box access, 31 of 100 (95 % interval 25 to 38).",
        "Nothing was found with black-box access.",
    )
    assert [(step.access, step.outcome) for step in access_row(report)] == [
        ("black-box", "not_found"),
        ("open-weights", "not_tested"),
        ("grey-box", "found"),
        ("white-box", "found"),
    ]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("held_back", "speakers of the training data by recordings that were not trained on while"),
        ("trained", "speakers of the training data by recordings that were trained on while"),
        ("", "speakers of the training data while"),
    ],
)
def test_speakers_are_found_by_recordings_of_either_kind(planted_report, part, words):
    attack = replace(planted_report.attacks[5], part=part, tpr_at_fpr=(RESOLVED,))
    verdict = LevelVerdict("speaker", "grey-box", "leak", "reason", attack.name, part)
    scores = (planted_report.scores[5], *planted_report.scores[6:])
    report = replace(planted_report, attacks=(attack,), scores=scores, verdict=Verdict("leak", "reason", (verdict,)))
    assert f"31 of 100 {words} naming 1 of 100 other speakers wrongly" in finding(report)[0]


def test_speakers_without_a_supported_rate(planted_report):
    attack = replace(planted_report.attacks[5], part="trained", tpr_at_fpr=(TOO_FEW,))
    verdict = LevelVerdict("speaker", "grey-box", "leak", "reason", attack.name, "trained")
    scores = (planted_report.scores[5], *planted_report.scores[6:])
    report = replace(planted_report, attacks=(attack,), scores=scores, verdict=Verdict("leak", "reason", (verdict,)))
    assert finding(report)[0].startswith(
        f"{WHO} can tell speakers of the training data from other speakers by recordings that were trained on, better "
        "than by chance."
    )


def test_a_leak_of_one_level_and_silence_of_another_are_told_apart(planted_report):
    text = " ".join(finding(planted_report))
    assert "Nothing was found with black-box access at utterance level; with black-box access at speaker level." in text


def test_a_family_that_leaks_only_alone_finds_nothing(planted_report):
    alone = grey("leak", p_value=0.03, p_value_overall=0.06)
    report = with_verdicts(planted_report, "no_evidence", black("no_evidence", p_value=0.5, p_value_overall=0.5), alone)
    text = finding(report)
    assert text[-1] == (
        "One result stands out on its own (with grey-box access at utterance level), but not after correction for the "
        "number of questions and accesses that were tried."
    )
    assert not any("could find" in sentence for sentence in text)
    assert [step.outcome for step in access_row(report)] == ["not_found", "not_tested", "unclear", "not_tested"]


def test_beside_an_overall_leak_a_family_that_leaks_only_alone_is_not_counted(planted_report):
    alone = black("leak", p_value=0.04, p_value_overall=0.08)
    report = with_verdicts(planted_report, "leak", grey("leak", p_value=0.001, p_value_overall=0.002), alone)
    assert finding(report)[0].startswith(WHO)
    assert "stands out on its own (with black-box access" in finding(report)[-1]


def test_no_evidence_says_what_would_have_been_noticed(planted_report):
    silent = tuple(replace(attack, p_value_corrected=0.6) for attack in planted_report.attacks)
    report = with_verdicts(replace(planted_report, attacks=silent), "no_evidence", black("no_evidence"))
    assert finding(report) == (
        "None of the 2 attacks of this run found training recordings (with black-box access).",
        "It would have noticed an attack that picks the training recording out of about 57 of 100 pairs with "
        "another one (AUROC 0.57, with 80 % power); a weaker leak may have gone unnoticed.",
    )


def test_one_attack_and_a_design_without_power(planted_report):
    report = with_attack(planted_report, "no_evidence", p_value_corrected=0.5, smallest_detectable_auroc=1.0)
    assert finding(report) == (
        "The one attack of this run did not find training recordings (with grey-box access).",
        "The run is so small that it would have noticed only a near-perfect attack.",
    )


def test_an_attack_that_training_does_not_explain_is_no_finding(planted_report):
    """It separates the groups, but not better than on the wrong model or from siblings."""
    first, _ = finding(with_attack(planted_report, "no_evidence", p_value_corrected=0.008))
    assert first == (
        "An attack tells training recordings from other recordings (with grey-box access), but nothing shows that "
        "training is the reason: it is not shown to do better than on a model that was trained on neither."
    )
    assert access_row(with_attack(planted_report, "no_evidence", p_value_corrected=0.008))[2].text == "nothing shown"
    assert access_row(with_attack(planted_report, "no_evidence", p_value_corrected=0.8))[2].text == "found nothing"
    siblings = VersusSiblings(0.51, 0.4)
    first, _ = finding(with_attack(planted_report, "no_evidence", p_value_corrected=0.008, versus_siblings=siblings))
    assert first.endswith("it does not tell them from recordings of the same source that were not trained on.")


NOT_ASSESSABLE = {
    "no model needed": ({"p_value": 0.0001}, {}, "can be told apart without any model."),
    "too few to exclude": ({"p_value": 0.4}, {}, "too few recordings to exclude that the two groups differ in more"),
}


@pytest.mark.parametrize("case", NOT_ASSESSABLE)
def test_a_split_that_bars_a_verdict_is_the_cause(planted_report, case):
    blind, changes, words = NOT_ASSESSABLE[case]
    report = with_attack(planted_report, "not_assessable", tpr_at_fpr=(RESOLVED,), **changes)
    report = with_verdicts(report, "not_assessable", grey("not_assessable", attack=None))
    controls = (replace(report.controls[0], **blind), *report.controls[1:])
    (sentence,) = finding(replace(report, controls=controls, split=replace(report.split, drawn=False)))
    assert sentence.startswith("This run cannot say whether the model gives away its training data: ")
    assert words in sentence
    assert not re.search(r"\d", sentence)


def test_no_blind_baseline_on_a_split_of_the_user(planted_report):
    report = with_verdicts(planted_report, "not_assessable", grey("not_assessable", attack=None))
    controls = tuple(one for one in report.controls if one.name != "blind")
    scores = tuple(one for one in report.scores if one.name != "blind")
    (sentence,) = finding(replace(report, controls=controls, scores=scores))
    assert "nobody checked that the two groups of recordings are alike" in sentence


def test_too_few_speakers(planted_report):
    few = tuple(replace(one, n_speakers=8) if one.level == "speaker" else one for one in planted_report.attacks)
    verdict = LevelVerdict("speaker", "grey-box", "not_assessable", "reason")
    report = with_verdicts(replace(planted_report, attacks=few), "not_assessable", verdict)
    assert finding(report)[0].endswith("it has 8 speakers, and a statement about speakers takes at least 12.")


ATTACK_CAUSES = {
    "the wrong model works": (
        lambda attack: {"versus_wrong_model": replace(attack.versus_wrong_model, wrong_model_p_value=0.01)},
        False,
        "a model that was trained on neither of the two groups tells them apart, too",
    ),
    "no wrong model": (
        lambda attack: {"versus_wrong_model": None, "p_value_corrected": 0.001},
        False,
        "no model that was trained on neither was tested",
    ),
    "unexpected sign": (
        lambda attack: {"auroc": 0.3, "p_value_corrected": 0.99, "p_value_two_sided": 0.004},
        True,
        "in the direction opposite to that of training",
    ),
}


@pytest.mark.parametrize("case", ATTACK_CAUSES)
def test_an_attack_that_bars_a_verdict_is_the_cause(planted_report, case):
    changes, drawn, words = ATTACK_CAUSES[case]
    report = with_attack(planted_report, "not_assessable", tpr_at_fpr=(RESOLVED,), **changes(planted_report.attacks[2]))
    (sentence,) = finding(replace(report, split=replace(report.split, drawn=drawn)))
    assert words in sentence
    assert not re.search(r"\d", sentence)


def test_a_failed_positive_control_is_the_cause(planted_report):
    report = with_attack(planted_report, "not_assessable", p_value_corrected=0.6)
    missed = Exposure(8, 12.0, (replace(report.attacks[0], auroc=0.5),))
    (sentence,) = finding(replace(report, exposures=(missed,)))
    assert sentence.endswith("its attacks also miss recordings that the model was certainly trained on.")


def test_without_attacks_nothing_can_be_said(planted_report):
    nothing = replace(
        planted_report,
        attacks=(),
        scores=planted_report.scores[6:],
        verdict=Verdict("not_assessable", "No attack was run, so there is nothing to assess.", ()),
    )
    assert finding(nothing) == (
        "This run cannot say whether the model gives away its training data: no attack was run.",
    )


def test_signals_of_any_model_speak_of_examples(planted_report):
    report = replace(with_attack(planted_report, tpr_at_fpr=(RESOLVED,), n_shadows=2), target=None)
    first, second = finding(report)
    assert first.startswith(
        f"{WHO} could find 31 of 100 training examples while naming 1 of 100 other examples wrongly"
    )
    assert "halves of the same examples" in second
    assert [step.outcome for step in access_row(report)] == ["not_tested", "not_tested", "found", "not_tested"]


def test_a_blind_check_speaks_of_the_split_alone(planted_blind_report):
    (sentence,) = finding(planted_blind_report)
    assert sentence == (
        "An audit on this split could not say anything about training: the two groups of recordings can be told apart "
        "without any model."
    )
    (sentence,) = finding(replace(planted_blind_report, verdict=Verdict("no_evidence", "alike", ())))
    assert sentence.startswith("Without a model, members and non-members cannot be told apart")
    assert access_row(planted_blind_report) == ()


def test_verdicts_without_families_rest_on_the_strongest_attack(planted_report):
    """Files of earlier versions."""
    report = with_attack(planted_report, tpr_at_fpr=(RESOLVED,))
    assert "31 of 100" in finding(replace(report, verdict=Verdict("leak", "reason", ())))[0]
    assert finding(replace(planted_report, verdict=Verdict("no_evidence", "reason", ())))[0]


def test_the_rate_nearest_one_per_cent_is_preferred(planted_report):
    attack = replace(planted_report.attacks[2], tpr_at_fpr=(rate(0.001, 0.2, (0.1, 0.3)), RESOLVED, TENTH))
    assert found(attack).rate is RESOLVED
    assert found(attack).reason == ""
