import re
from dataclasses import replace

from lightning_mia.evaluation.results import LevelVerdict, Verdict
from lightning_mia.report.content.key_numbers import decisive_attack, key_numbers


def test_a_leak_shows_the_decisive_attack_its_margin_and_the_blind_baseline(planted_report):
    numbers = key_numbers(planted_report)
    assert [number.label for number in numbers] == [
        "AUROC of pretext_loss",
        "TPR at FPR 1 %",
        "margin over the wrong model",
        "AUROC of the blind baseline",
    ]
    assert numbers[0].number == f"{planted_report.attacks[2].auroc:.2f}"
    assert numbers[0].detail.startswith("utterance level, grey-box; 95 % interval")
    assert numbers[1].number == "1.5 %"
    assert numbers[1].detail == (
        "members found; 95 % interval 1 to 2.5 %; a rough figure, decided by fewer than 10 non-members"
    )
    assert all(re.fullmatch(r"[+−]?\d\.\d\d|[\d.]+ %", number.number) for number in numbers), "one style"


def test_the_rate_is_left_out_where_members_score_lower(planted_report):
    """No rate is reported for the other end of the scale."""
    attack = replace(planted_report.attacks[2], two_sided=True, auroc=0.1)
    attacks = (*planted_report.attacks[:2], attack, *planted_report.attacks[3:])
    labels = [number.label for number in key_numbers(replace(planted_report, attacks=attacks))]
    assert labels == ["AUROC of pretext_loss", "margin over the wrong model", "AUROC of the blind baseline"]


def test_only_attacks_of_a_leaking_level_and_access_are_decisive(planted_report):
    """A confounded black-box attack with a higher AUROC must not represent a grey-box leak."""
    better = replace(planted_report.attacks[0], auroc=0.99, p_value_corrected=1e-6)
    assert (
        decisive_attack(replace(planted_report, attacks=(better, *planted_report.attacks[1:]))).name == "pretext_loss"
    )


def test_the_attack_that_the_verdict_names_is_decisive(planted_fleet_report):
    """If the strongest attack does not exceed the wrong model, a weaker one may be the leak."""
    first = planted_fleet_report.verdict.by_level_and_access[0]
    assert decisive_attack(planted_fleet_report).name == "shadow_classifier"
    named = replace(first, attack="lira")
    verdict = replace(planted_fleet_report.verdict, by_level_and_access=(named,))
    assert decisive_attack(replace(planted_fleet_report, verdict=verdict)).name == "lira"


def test_a_two_sided_attack_is_strong_below_one_half(planted_report):
    below = replace(planted_report.attacks[0], auroc=0.02, p_value_corrected=0.002)
    verdict = Verdict("no_evidence", "nothing", ())
    report = replace(planted_report, attacks=(below, *planted_report.attacks[1:]), verdict=verdict)
    assert decisive_attack(report) is below


def test_no_evidence_shows_the_detectable_auroc(planted_report):
    numbers = key_numbers(replace(planted_report, verdict=Verdict("no_evidence", "nothing", ())))
    assert [number.label for number in numbers][1:] == [
        "TPR at FPR 1 %",
        "smallest detectable AUROC",
        "AUROC of the blind baseline",
    ]
    assert numbers[2].number == "0.57"


def test_not_assessable_shows_the_blind_baseline_and_its_bound(planted_blind_report):
    auroc, bound = key_numbers(planted_blind_report)
    assert auroc.number == f"{planted_blind_report.controls[0].auroc:.2f}"
    assert bound.number == "0.87"
    assert "0.60" in bound.detail, "the limit of a user-supplied split"
    corrected = replace(planted_blind_report.controls[0], p_value=0.009, p_value_corrected=0.031)
    shown = key_numbers(replace(planted_blind_report, controls=(corrected,)))
    assert "p 0.031" in shown[0].detail, "the verdict rests on the corrected one"
    drawn = replace(planted_blind_report, split=replace(planted_blind_report.split, drawn=True))
    assert "0.60" not in key_numbers(drawn)[1].detail


def test_without_a_blind_baseline_there_are_no_key_numbers(planted_report):
    report = replace(planted_report, verdict=Verdict("not_assessable", "no blind baseline", ()), blind_upper95={})
    controls = tuple(control for control in report.controls if control.name != "blind")
    scores = tuple(s for s in report.scores if s.name != "blind")
    assert key_numbers(replace(report, controls=controls, scores=scores)) == ()


def test_not_assessable_because_of_an_attack_shows_that_attack(planted_report):
    because = LevelVerdict("utterance", "grey-box", "not_assessable", "the wrong model separates them", "pretext_loss")
    verdict = Verdict("not_assessable", "the wrong model separates them", (because,))
    labels = [number.label for number in key_numbers(replace(planted_report, verdict=verdict))]
    assert labels[::2] == ["AUROC of pretext_loss", "margin over the wrong model"]
    because_of_the_split = replace(verdict, by_level_and_access=(replace(because, attack=None),))
    labels = [number.label for number in key_numbers(replace(planted_report, verdict=because_of_the_split))]
    assert labels[0] == "AUROC of the blind baseline"


def test_an_interval_of_which_nothing_is_known_is_called_so(planted_report):
    attacks = tuple(replace(attack, auroc_ci95=(0.0, 1.0)) for attack in planted_report.attacks)
    detail = key_numbers(replace(planted_report, attacks=attacks))[0].detail
    assert detail.startswith("utterance level, grey-box; no interval; corrected p")
