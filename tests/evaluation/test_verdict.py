"""Tests of every branch of the verdict, on hand-written results."""

import re
from dataclasses import replace

import pytest

from lightning_mia.evaluation import (
    AttackResult,
    BlindResult,
    Difference,
    Exposure,
    TprAtFpr,
    Verdict,
    VersusSiblings,
    give_blind_verdict,
    give_verdict,
)

ATTACK = AttackResult(
    name="pretext_loss",
    level="utterance",
    access="grey-box",
    n_members=200,
    n_nonmembers=200,
    n_speakers=20,
    auroc=0.80,
    auroc_ci95=(0.74, 0.85),
    p_value=0.001,
    p_value_corrected=0.002,
    two_sided=False,
    advantage=0.45,
    advantage_null_mean=0.06,
    tpr_at_fpr=(),
    smallest_detectable_auroc=0.57,
    versus_wrong_model=Difference(0.29, 0.21, 0.05, 0.51),
    auroc_blind_adjusted=0.78,
)
NOTHING = replace(ATTACK, auroc=0.52, p_value=0.2, p_value_corrected=0.31)
CONFOUNDED = replace(ATTACK, versus_wrong_model=Difference(0.02, -0.04, 0.03, 0.78))
WITHOUT_CONTROL = replace(ATTACK, versus_wrong_model=None)


def blind(p_value: float, upper95: float = 0.55, level: str = "utterance", auroc: float = 0.52) -> BlindResult:
    result = replace(ATTACK, name="blind", access="none", level=level, auroc=auroc, p_value=p_value)
    return BlindResult(replace(result, p_value_corrected=None, versus_wrong_model=None), upper95)


CLEAN = blind(0.4)


@pytest.mark.parametrize(
    ("attack", "control", "drawn", "status", "phrase"),
    [
        (
            ATTACK,
            CLEAN,
            True,
            "leak",
            "on a model trained on neither members nor non-members it has AUROC 0.51, so that on the target it is 0.29 "
            "further from chance (at least 0.21)",
        ),
        (
            ATTACK,
            CLEAN,
            False,
            "leak",
            "AUROC 0.80 (95 % interval 0.74 to 0.85, corrected p = .002; the only grey-box attack",
        ),
        (NOTHING, CLEAN, True, "no_evidence", "an AUROC of 0.57 would have been detected with 80 % power"),
        (NOTHING, CLEAN, False, "no_evidence", "does not separate members from non-members"),
        (
            CONFOUNDED,
            CLEAN,
            True,
            "no_evidence",
            "on a model trained on neither members nor non-members it has AUROC 0.78",
        ),
        (CONFOUNDED, CLEAN, False, "no_evidence", "difference of the distances +0.02, lower bound −0.04"),
        # without a wrong model: random assignment leaves no other cause, a user-supplied split does
        (WITHOUT_CONTROL, CLEAN, True, "leak", "no wrong-model control was run"),
        (WITHOUT_CONTROL, CLEAN, False, "not_assessable", "without a wrong-model control"),
        (replace(NOTHING, versus_wrong_model=None), CLEAN, False, "no_evidence", "does not separate"),
        # the gate of a drawn split
        (
            ATTACK,
            blind(0.000999),
            True,
            "not_assessable",
            "can be separated without any model: the blind baseline has AUROC",
        ),
        (ATTACK, blind(0.001), True, "leak", "warning: even without any model, the blind baseline has AUROC 0.52"),
        (ATTACK, blind(0.049), True, "leak", "adjusted for the blind score, pretext_loss has AUROC 0.78"),
        (NOTHING, blind(0.049), True, "no_evidence", "warning"),
        (ATTACK, blind(0.4, upper95=0.9), True, "leak", ""),
        # the gate of a user-supplied split
        (ATTACK, blind(0.049), False, "not_assessable", "can be separated without any model"),
        (ATTACK, blind(0.4, upper95=0.601), False, "not_assessable", "too small to exclude confounding"),
        (
            NOTHING,
            blind(0.4, upper95=0.601),
            False,
            "not_assessable",
            "one-sided 95 % upper bound is 0.601, above 0.60",
        ),
        (ATTACK, blind(0.4, upper95=0.60), False, "leak", ""),
    ],
)
def test_the_verdict_on_one_attack(
    attack: AttackResult, control: BlindResult, drawn: bool, status: str, phrase: str
) -> None:
    verdict = give_verdict([attack], [control], drawn=drawn)
    assert verdict.status == verdict.by_level_and_access[0].status == status
    assert phrase in verdict.reason
    assert phrase in verdict.by_level_and_access[0].reason


@pytest.mark.parametrize(("drawn", "status"), [(True, "leak"), (False, "not_assessable")])
def test_without_a_blind_baseline_only_random_assignment_protects(drawn: bool, status: str) -> None:
    verdict = give_verdict([ATTACK], [], drawn=drawn)
    assert verdict.status == status
    assert "the blind baseline was not run" in verdict.reason


@pytest.mark.parametrize(("n_speakers", "status"), [(11, "not_assessable"), (12, "leak")])
def test_the_speaker_level_requires_twelve_speakers(n_speakers: int, status: str) -> None:
    attack = replace(ATTACK, level="speaker", n_speakers=n_speakers)
    verdict = give_verdict([attack], [blind(0.4, level="speaker")], drawn=True)
    assert verdict.status == status
    few = replace(ATTACK, n_speakers=6)
    assert give_verdict([few], [CLEAN], drawn=True).status == "leak"  # utterances of six speakers are enough


def test_any_attack_of_a_family_may_leak_and_the_strongest_is_reported() -> None:
    weaker = replace(ATTACK, name="weaker", auroc=0.7)
    verdict = give_verdict([NOTHING, weaker, CONFOUNDED, replace(ATTACK, name="stronger")], [CLEAN], drawn=True)
    assert verdict.status == "leak"
    assert "stronger has AUROC 0.80" in verdict.reason
    assert verdict.by_level_and_access[0].attack == "stronger"


@pytest.mark.parametrize(
    ("control", "drawn", "attack"),
    [
        (CLEAN, True, "attack"),
        (blind(0.049), True, "attack"),  # the warning is about the attack of the verdict
        (blind(0.0005), True, None),
        (blind(0.4, upper95=0.601), False, None),
    ],
)
@pytest.mark.parametrize("figures", [ATTACK, WITHOUT_CONTROL, CONFOUNDED, NOTHING])
def test_a_verdict_records_the_attack_on_which_it_rests(
    control: BlindResult, drawn: bool, attack: str | None, figures: AttackResult
) -> None:
    wide = replace(NOTHING, name="wide", auroc=0.9)  # stronger, but its p-value is too large
    family = [replace(figures, name="attack"), replace(NOTHING, name="weak", auroc=0.51), wide]
    (verdict,) = give_verdict(family, [control], drawn=drawn).by_level_and_access
    expected = "wide" if figures is NOTHING and attack else attack
    assert verdict.attack == expected
    assert ("warning" in verdict.reason) == (control.result.p_value == 0.049)
    assert expected is None or re.search(f"{expected},? has AUROC", verdict.reason)


def test_a_one_sided_attack_below_chance_is_not_the_strongest() -> None:
    below = replace(NOTHING, name="below", auroc=0.2)
    assert "the strongest, pretext_loss, has" in give_verdict([below, NOTHING], [CLEAN], drawn=True).reason
    flipped = replace(below, two_sided=True)
    assert "the strongest, below, has" in give_verdict([flipped, NOTHING], [CLEAN], drawn=True).reason


def test_the_attack_with_the_least_power_decides_what_was_detectable() -> None:
    weak = replace(NOTHING, name="weak", smallest_detectable_auroc=1.0)
    assert "detects no AUROC below 1" in give_verdict([NOTHING, weak], [CLEAN], drawn=True).reason


def overall(*families: tuple[AttackResult, str], controls: list[BlindResult] | None = None) -> Verdict:
    results = [replace(attack, name=f"attack_{access}", access=access) for attack, access in families]
    return give_verdict(results, controls or [CLEAN], drawn=False)


def test_a_leak_anywhere_is_a_leak() -> None:
    verdict = overall((NOTHING, "black-box"), (WITHOUT_CONTROL, "open-weights"), (ATTACK, "grey-box"))
    assert verdict.status == "leak"
    assert verdict.reason.startswith("Utterance level, grey-box: attack_grey-box has AUROC 0.80")
    assert "no evidence at utterance level with black-box access" in verdict.reason
    assert "not assessable at utterance level with open-weights access" in verdict.reason
    statuses = {part.access: part.status for part in verdict.by_level_and_access}
    assert statuses == {"black-box": "no_evidence", "open-weights": "not_assessable", "grey-box": "leak"}


def test_no_evidence_needs_one_assessable_family() -> None:
    too_few = replace(NOTHING, level="speaker", n_speakers=8)
    verdict = give_verdict([NOTHING, too_few], [CLEAN, blind(0.5, level="speaker")], drawn=True)
    assert verdict.status == "no_evidence"
    assert "not assessable at speaker level with grey-box access" in verdict.reason


def test_a_separation_of_unknown_cause_is_not_no_evidence() -> None:
    assert overall((NOTHING, "black-box"), (WITHOUT_CONTROL, "grey-box")).status == "not_assessable"


def test_the_worst_blind_baseline_of_a_level_counts_and_no_other_levels() -> None:
    assert give_verdict([ATTACK], [CLEAN, blind(0.0005)], drawn=True).status == "not_assessable"
    assert give_verdict([ATTACK], [CLEAN, blind(0.0005, level="speaker")], drawn=True).status == "leak"


def test_controls_are_ignored_and_without_attacks_nothing_is_assessable() -> None:
    control = replace(ATTACK, name="untrained_pretext_loss", access="none")
    assert len(give_verdict([ATTACK, control], [CLEAN], drawn=True).by_level_and_access) == 1
    verdict = give_verdict([control], [CLEAN], drawn=True)
    assert (verdict.status, verdict.by_level_and_access) == ("not_assessable", ())


def test_a_reason_is_one_sentence() -> None:
    verdict = overall((NOTHING, "black-box"), (ATTACK, "grey-box"))
    assert re.fullmatch(r"[A-Z][^\n]*[^.\s]\.", verdict.reason)
    assert not re.search(r"\.\s+[A-Z]", verdict.reason)


@pytest.mark.parametrize(
    ("controls", "drawn", "status", "phrase"),
    [
        ([CLEAN], False, "no_evidence", "cannot be separated without a model: the blind baseline has AUROC 0.52"),
        ([blind(0.049)], False, "not_assessable", "can be separated without any model"),
        ([blind(0.049)], True, "no_evidence", "cannot be separated"),
        ([blind(0.4, upper95=0.7)], False, "not_assessable", "too small"),
        ([blind(0.4, 0.9, level="speaker"), CLEAN], False, "no_evidence", "not assessable at speaker level."),
        ([CLEAN, blind(0.01)], False, "not_assessable", "can be separated without any model"),
        ([blind(0.01), blind(0.4, level="speaker")], False, "not_assessable", "no evidence at speaker level."),
    ],
)
def test_the_verdict_on_a_split_alone(controls: list[BlindResult], drawn: bool, status: str, phrase: str) -> None:
    verdict = give_blind_verdict(controls, drawn=drawn, level="utterance")
    assert verdict.status == status
    assert phrase in verdict.reason


def test_an_obstacle_outside_the_split_prevents_every_verdict() -> None:
    verdict = give_verdict([ATTACK, replace(NOTHING, level="speaker")], [CLEAN], drawn=True, obstacle="half untrained")
    assert [(level.status, level.reason) for level in verdict.by_level_and_access] == 2 * [
        ("not_assessable", "half untrained")
    ]
    assert verdict.status == "not_assessable"
    assert "half untrained" in verdict.reason


def contaminated(target: float, wrong: float, p_value: float = 0.001, **changes: object) -> AttackResult:
    """An attack whose wrong model departs from chance, too."""
    difference = Difference(target - wrong, -0.02, 0.03, wrong, p_value=0.2, wrong_model_p_value=p_value)
    return replace(ATTACK, auroc=target, versus_wrong_model=difference, **changes)


def test_on_a_drawn_split_a_contaminated_wrong_model_is_no_control() -> None:
    verdict = give_verdict([contaminated(0.72, 0.69)], [CLEAN], drawn=True)
    assert verdict.status == "leak"
    assert "on it, pretext_loss has AUROC 0.69 (two-sided corrected p = .001)" in verdict.reason
    assert "rests on the redraws of the split" in verdict.reason
    assert "further from chance" not in verdict.reason
    silent = give_verdict([contaminated(0.52, 0.69, p_value_corrected=0.3)], [CLEAN], drawn=True)
    assert silent.status == "no_evidence"
    assert "the wrong model is no control here" in silent.reason


def test_on_a_user_supplied_split_a_wrong_model_that_departs_from_chance_shows_a_confound() -> None:
    for target, p in ((0.72, 0.001), (0.52, 0.3)):
        verdict = give_verdict([contaminated(target, 0.69, p_value_corrected=p)], [CLEAN], drawn=False)
        assert verdict.status == "not_assessable"
        assert "on it, pretext_loss has AUROC 0.69" in verdict.reason
        assert "on the target 0.7" in verdict.reason or "on the target 0.52" in verdict.reason
    # one attack is enough, also for the other accesses of the same question
    grey, black = contaminated(0.72, 0.69), replace(ATTACK, name="other", access="black-box")
    statuses = {part.status for part in give_verdict([grey, black], [CLEAN], drawn=False).by_level_and_access}
    assert statuses == {"not_assessable"}
    assert give_verdict([contaminated(0.8, 0.55, 0.2)], [CLEAN], drawn=False).status == "no_evidence"


def test_the_overall_verdict_is_corrected_over_families() -> None:
    accesses = ("black-box", "open-weights", "grey-box")
    families = [replace(NOTHING, name=access, access=access) for access in accesses]

    def verdict(p: float) -> Verdict:
        difference = Difference(0.1, 0.05, 0.02, 0.5, p_value=0.001)
        attack = replace(families[0], auroc=0.6, p_value_corrected=p, versus_wrong_model=difference)
        return give_verdict([attack, *families[1:]], [CLEAN], drawn=True)

    found, missed = verdict(0.016), verdict(0.018)
    assert (found.status, missed.status) == ("leak", "no_evidence")
    assert found.by_level_and_access[0].p_value_overall == pytest.approx(0.048)
    assert "corrected over all 3 families of attacks, p = .048" in found.reason
    family = next(part for part in missed.by_level_and_access if part.access == "black-box")
    assert (family.status, family.p_value) == ("leak", 0.018)
    assert family.p_value_overall == pytest.approx(0.054)
    assert missed.reason.startswith(
        "At utterance level, black-box, black-box would be a leak if this were the only family of attacks (p = .018), "
        "but it is not after correction over all 3 (p = .054); utterance level, "
    )


def test_a_leak_needs_all_its_conditions_at_the_level_of_the_overall_verdict() -> None:
    weak_difference = replace(ATTACK, versus_wrong_model=Difference(0.1, 0.01, 0.05, 0.5, p_value=0.03))
    assert give_verdict([weak_difference], [CLEAN], drawn=True).status == "leak"
    second = replace(NOTHING, name="second", access="black-box")
    assert give_verdict([weak_difference, second], [CLEAN], drawn=True).status == "no_evidence"


def test_a_strong_effect_of_the_unexpected_sign_is_named() -> None:
    backwards = replace(
        NOTHING, auroc=0.31, auroc_ci95=(0.27, 0.35), p_value=1.0, p_value_corrected=1.0, p_value_two_sided=0.001
    )
    verdict = give_verdict([backwards], [CLEAN], drawn=True)
    assert verdict.status == "not_assessable"
    assert "in the unexpected direction: its AUROC is 0.31" in verdict.reason
    assert "95 % interval 0.27 to 0.35, two-sided corrected p = .001, one-sided p = 1.000" in verdict.reason
    assert give_verdict([backwards, ATTACK], [CLEAN], drawn=True).status == "leak"
    by_chance = replace(backwards, auroc=0.46, p_value_two_sided=0.06)
    assert give_verdict([by_chance], [CLEAN], drawn=True).status == "no_evidence"


def test_the_speaker_level_has_a_verdict_for_each_question() -> None:
    trained = replace(ATTACK, name="loss_trained", level="speaker", part="trained", n_speakers=30)
    held_back = replace(NOTHING, name="loss", level="speaker", part="held_back", n_speakers=30)
    verdict = give_verdict([trained, held_back], [blind(0.4, level="speaker")], drawn=True)
    statuses = {part.part: part.status for part in verdict.by_level_and_access}
    assert statuses == {"trained": "leak", "held_back": "no_evidence"}
    assert verdict.reason.startswith("Speaker level, trained recordings, grey-box: loss_trained has")
    assert "says nothing about the voice itself" in verdict.reason
    assert "no evidence at speaker level, held-back recordings with grey-box access" in verdict.reason


def test_a_blind_baseline_bars_its_own_question() -> None:
    trained = replace(ATTACK, name="loss_trained", level="speaker", part="trained", n_speakers=30)
    held_back = replace(ATTACK, name="loss", level="speaker", part="held_back", n_speakers=30)
    clean, confounded = blind(0.4, level="speaker"), blind(0.0005, level="speaker")
    controls = [
        replace(clean, result=replace(clean.result, part="held_back")),
        replace(confounded, result=replace(confounded.result, name="blind_trained", part="trained")),
    ]
    parts = give_verdict([trained, held_back], controls, drawn=True).by_level_and_access
    assert {part.part: part.status for part in parts} == {"trained": "not_assessable", "held_back": "leak"}


@pytest.mark.parametrize(("p_value", "status"), [(0.4, "no_evidence"), (0.01, "leak")])
def test_members_that_resemble_siblings_show_a_domain(p_value: float, status: str) -> None:
    attack = replace(ATTACK, versus_siblings=VersusSiblings(0.51, p_value))
    verdict = give_verdict([attack], [CLEAN], drawn=False)
    assert verdict.status == status
    assert ("the difference may be one of domain" in verdict.reason) == (status == "no_evidence")
    assert "AUROC 0.51, corrected p = " in verdict.reason


def test_a_leak_without_siblings_says_what_it_cannot_exclude() -> None:
    phrase = "it cannot be excluded that the model was trained on that source, but not on these members"
    assert phrase in give_verdict([ATTACK], [CLEAN], drawn=False).reason
    assert phrase not in give_verdict([ATTACK], [CLEAN], drawn=True).reason


def test_attacks_that_miss_the_positive_control_assess_nothing() -> None:
    missed = Exposure(30, 1.0, (replace(NOTHING, auroc=0.53),))
    found = Exposure(30, 1.0, (ATTACK,))
    verdict = give_verdict([NOTHING], [CLEAN], drawn=False, largest_exposure=missed)
    assert verdict.status == "not_assessable"
    assert "even after 30 epochs, where pretext_loss has AUROC 0.53" in verdict.reason
    assert give_verdict([NOTHING], [CLEAN], drawn=False, largest_exposure=found).status == "no_evidence"
    assert give_verdict([ATTACK], [CLEAN], drawn=False, largest_exposure=missed).status == "leak"
    # an attack that could not run in the positive control did not detect anything, either
    untried = give_verdict([NOTHING, replace(NOTHING, name="lira")], [CLEAN], drawn=True, largest_exposure=missed)
    assert untried.status == "not_assessable"
    assert "the grey-box attacks that could run in it (1 of 2) miss recordings" in untried.reason
    assert "says little about the model" in untried.reason
    elsewhere = replace(NOTHING, access="black-box")
    assert give_verdict([elsewhere], [CLEAN], drawn=True, largest_exposure=missed).status == "no_evidence"


def test_an_obstacle_of_the_run_bars_every_family() -> None:
    verdict = give_verdict([ATTACK], [CLEAN], drawn=True, obstacle="12 members were never trained on")
    assert (verdict.status, verdict.by_level_and_access[0].reason) == (
        "not_assessable",
        "12 members were never trained on",
    )


def test_a_leak_starts_with_its_size() -> None:
    rate = TprAtFpr(0.01, 0.01, (0.0, 0.02), 0.312, (0.12, 0.5), resolvable=True)
    leak = give_verdict([replace(ATTACK, tpr_at_fpr=(rate,))], [CLEAN], drawn=True).reason
    assert leak.startswith(
        "Utterance level, grey-box: of 100 members, 31 (95 % interval 12 to 50) are found when at most 1 of 100 "
        "non-members is accused wrongly: pretext_loss has"
    )
    small = replace(rate, tpr=0.014, tpr_ci95=(0.009, 0.0204))
    small_leak = give_verdict([replace(ATTACK, tpr_at_fpr=(small,))], [CLEAN], drawn=True).reason
    assert "of 100 members, 1.4 (95 % interval 0.9 to 2) are found" in small_leak
    unknown = replace(ATTACK, tpr_at_fpr=(replace(rate, tpr_ci95=(0.0, 1.0)),), auroc_ci95=(0.0, 1.0))
    reason = give_verdict([unknown], [CLEAN], drawn=True).reason
    assert "31 (no interval) are found" in reason
    assert "AUROC 0.80 (no interval, corrected p = .002; the only" in reason
    rough = replace(rate, resolvable=False)
    assert "a rough figure" in give_verdict([replace(ATTACK, tpr_at_fpr=(rough,))], [CLEAN], drawn=True).reason


def test_sentences_count_the_attacks_that_were_run() -> None:
    alone = give_verdict([NOTHING], [CLEAN], drawn=True).reason
    assert "the only grey-box attack that was run (without shadow models) does not separate" in alone
    family = [NOTHING, *(replace(NOTHING, name=f"lira_{n}", n_shadows=16, auroc=0.51) for n in range(3))]
    together = give_verdict(family, [CLEAN], drawn=True).reason
    assert "none of 4 grey-box attacks that were run (3 of them with 16 shadow models) separates" in together
    leak = give_verdict([*family, replace(ATTACK, name="best")], [CLEAN], drawn=True).reason
    assert "best has AUROC 0.80" in leak
    assert "corrected p = .002; one of 5 grey-box attacks that were run, 3 of them with 16 shadow models)" in leak


def test_too_few_speakers_have_no_bound_of_the_margin() -> None:
    confounded = replace(ATTACK, versus_wrong_model=Difference(0.02, -1.0, float("nan"), 0.78))
    reason = give_verdict([confounded], [CLEAN], drawn=True).reason
    assert "(difference of the distances +0.02, no interval)" in reason
