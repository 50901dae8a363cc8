from dataclasses import replace

from lightning_mia.evaluation.results import LevelVerdict, Verdict
from lightning_mia.report.content.groups import MAX_CONTROLS, MAX_FEATURED, attack_groups, control_groups


def test_attacks_come_by_level_and_access_and_the_strongest_first(planted_report):
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


def test_a_two_sided_attack_is_strong_below_one_half_and_a_one_sided_one_weak(planted_report):
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


def test_of_many_attacks_the_strongest_are_featured(planted_fleet_report):
    for group in attack_groups(planted_fleet_report):
        assert group.featured == group.results[:MAX_FEATURED]
        assert group.best == group.results[0]
        assert {*group.featured, *group.others} == set(group.results)
        assert [group.place(one) for one in group.featured] == [0, 1, 2, 3]
        assert all(group.place(one) is None for one in group.others)


def test_an_attack_that_the_verdict_names_is_featured_however_weak(planted_fleet_report):
    reason = "calibrated_loss has AUROC 0.70, 0.20 further from chance than with a model trained on neither side"
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


def test_of_many_controls_those_of_the_best_attacks_are_featured(planted_fleet_report):
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


def test_what_all_attacks_of_a_group_would_have_shown_is_the_largest_of_theirs(planted_report):
    first, second = (replace(planted_report.attacks[i], smallest_detectable_auroc=a) for i, a in ((0, 0.6), (1, 0.7)))
    report = replace(planted_report, attacks=(first, second, *planted_report.attacks[2:]))
    assert attack_groups(report)[0].detectable == 0.7
    unknown = tuple(replace(one, smallest_detectable_auroc=None) for one in planted_report.attacks)
    assert attack_groups(replace(planted_report, attacks=unknown))[0].detectable is None
