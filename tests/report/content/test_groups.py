from dataclasses import replace

import pytest

from lightning_mia.evaluation.results import EachAsTarget, LevelVerdict, TprAtFpr, Verdict, headline_rate
from lightning_mia.report.content.groups import (
    MAX_CONTROLS,
    MAX_FEATURED,
    attack_groups,
    control_groups,
    headline_tpr_in_turn,
)


def test_attacks_are_ordered_by_level_access_and_strength(planted_report):
    shuffled = replace(planted_report, attacks=planted_report.attacks[::-1], scores=planted_report.scores[::-1])
    groups = attack_groups(shuffled)
    assert [(group.level, group.access) for group in groups] == [
        ("utterance", "black-box"),
        ("utterance", "grey-box"),
        ("speaker", "black-box"),
        ("speaker", "grey-box"),
    ]
    assert [r.name for r in groups[0].results] == ["utterance_similarity", "utterance_similarity_layer1"]
    assert groups[0].verdict == planted_report.verdict.by_level_and_access[0]


def test_below_one_half_two_sided_attacks_are_strong_and_one_sided_ones_weak(planted_report):
    similarity, loss = planted_report.attacks[0], planted_report.attacks[2]
    attacks = (
        replace(similarity, name="below", auroc=0.1),
        replace(similarity, name="above", auroc=0.8),
        replace(similarity, name="weak", auroc=0.05, two_sided=False),
    )
    scores = tuple(replace(planted_report.scores[0], name=one.name) for one in attacks)
    assert loss.auroc > 0.8
    report = replace(planted_report, attacks=attacks, controls=(), scores=scores)
    assert [one.name for one in attack_groups(report)[0].results] == ["below", "above", "weak"]


def test_the_strongest_of_many_attacks_are_featured(planted_fleet_report):
    for group in attack_groups(planted_fleet_report):
        assert group.featured == group.results[:MAX_FEATURED]
        assert group.best == group.results[0]
        assert {*group.featured, *group.others} == set(group.results)
        assert [group.series(one) for one in group.featured] == list(range(min(MAX_FEATURED, len(group.results))))
        assert all(group.series(one) is None for one in group.others)


def test_a_weak_attack_that_the_verdict_names_is_featured(planted_fleet_report):
    reason = (
        "calibrated_loss has AUROC 0.70 (95 % interval 0.65 to 0.75, corrected p = .001), which differs by 0.20 from "
        "that on a model trained on neither members nor non-members (lower bound 0.15)"
    )
    verdict = Verdict("leak", reason, (LevelVerdict("utterance", "grey-box", "leak", reason, "calibrated_loss"),))
    group = attack_groups(replace(planted_fleet_report, verdict=verdict))[-1]
    assert group.results[-1].name == "calibrated_loss"
    assert [one.name for one in group.featured][-1] == "calibrated_loss" == group.best.name
    assert len(group.featured) == MAX_FEATURED + 1


def test_without_an_attack_in_the_verdict_the_strongest_is_the_best(planted_fleet_report):
    reason = "calibrated_loss has AUROC 0.70 (corrected p < .001)"  # a file of a version that recorded no attack
    verdict = Verdict("leak", reason, (LevelVerdict("utterance", "grey-box", "leak", reason),))
    group = attack_groups(replace(planted_fleet_report, verdict=verdict))[-1]
    assert group.best == group.results[0]
    assert group.featured == group.results[:MAX_FEATURED]


def test_few_controls_are_all_featured(planted_report):
    for group in control_groups(planted_report):
        assert len(group.results) <= MAX_CONTROLS
        assert group.featured == group.results
        assert group.others == ()


def test_of_many_controls_only_those_of_the_best_attacks_are_featured(planted_fleet_report):
    extra = replace(planted_fleet_report.controls[0], name="pretext_loss_paper_protocol")  # no control of an attack
    report = replace(
        planted_fleet_report,
        controls=(*planted_fleet_report.controls, extra),
        scores=(*planted_fleet_report.scores, replace(planted_fleet_report.scores[-1], name=extra.name)),
    )
    (group,) = control_groups(report)
    best = [of_access.best.name for of_access in attack_groups(report)]
    assert {one.name for one in group.featured} == {
        "blind",
        extra.name,
        *(f"{kind}_{name}" for kind in ("untrained", "wrong_model") for name in best),
    }
    assert len(group.featured) + len(group.others) == len(report.controls) == 62


def test_the_detectable_auroc_of_a_group_is_the_largest_of_its_attacks(planted_report):
    first, second = (replace(planted_report.attacks[i], smallest_detectable_auroc=a) for i, a in ((0, 0.6), (1, 0.7)))
    report = replace(planted_report, attacks=(first, second, *planted_report.attacks[2:]))
    assert attack_groups(report)[0].detectable == 0.7
    unknown = tuple(replace(one, smallest_detectable_auroc=None) for one in planted_report.attacks)
    assert attack_groups(replace(planted_report, attacks=unknown))[0].detectable is None


def rates(*fprs: float) -> tuple[TprAtFpr, ...]:
    return tuple(TprAtFpr(fpr, fpr, (0.0, fpr), 2 * fpr, (0.0, 1.0), True) for fpr in fprs)


@pytest.mark.parametrize(
    ("fprs", "chosen"),
    [((0.001, 0.01, 0.1), 0.01), ((0.1, 0.01), 0.01), ((0.1, 0.005), 0.005), ((0.1, 0.0001), 0.1), ((0.3,), 0.3)],
)
def test_the_headline_rate_is_nearest_to_one_per_cent(fprs, chosen):
    assert headline_rate(rates(*fprs)).fpr == chosen


def test_the_mean_over_models_is_taken_at_the_headline_rate(planted_report):
    as_targets = EachAsTarget(4, 0.6, 0.1, (0.02, 0.2, 0.4), 0.5, 0.1)
    result = replace(planted_report.attacks[0], tpr_at_fpr=rates(0.001, 0.1, 0.01), in_turn=as_targets)
    assert headline_tpr_in_turn(result) == 0.4
    assert headline_tpr_in_turn(replace(result, in_turn=None)) is None
    assert headline_tpr_in_turn(replace(result, tpr_at_fpr=())) is None
    assert headline_rate(()) is None
