from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import numpy as np
import pytest

from lightning_mia.evaluation import (
    Context,
    EachAsTarget,
    EvaluationSettings,
    Scores,
    SubsetResult,
    evaluate_blind,
    evaluate_scores,
)
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.roc import advantages, aurocs_and_advantages

MakeScores = Callable[..., Scores]
Redraw = Callable[..., np.ndarray]
SETTINGS = EvaluationSettings(n_bootstraps=200)


def take(scores: Scores, rows: Sequence[int] | np.ndarray, name: str) -> Scores:
    arrays = (scores.unit_ids, scores.speakers, scores.members, scores.values)
    return Scores(name, scores.level, scores.access, scores.two_sided, *(array[rows] for array in arrays))


def test_a_planted_leak_is_detected_and_nothing_else(make_scores: MakeScores, redraw: Redraw) -> None:
    leaking, silent = make_scores("leaking", leak=1.5), make_scores("silent", seed=1)
    control = make_scores("untrained_leaking", access="none", seed=2)
    wrong = {("leaking", "utterance"): Context(wrong_model=make_scores("leaking", seed=3))}
    results = evaluate_scores([leaking, silent, control], redraw, SETTINGS, wrong)
    assert [result.name for result in results] == ["leaking", "silent", "untrained_leaking"]
    leak, silence, control_result = results
    assert leak.p_value == leak.p_value_corrected == 1 / 1001
    assert leak.auroc_ci95[0] > 0.5
    assert leak.versus_wrong_model is not None
    assert leak.versus_wrong_model.lower95 > 0
    assert leak.advantage > 5 * leak.advantage_null_mean > 0
    assert leak.smallest_detectable_auroc is not None
    assert 0.5 < leak.smallest_detectable_auroc < leak.auroc
    assert silence.p_value_corrected is not None
    assert silence.p_value_corrected >= silence.p_value > 0.05
    assert silence.versus_wrong_model is None
    assert control_result.p_value_corrected is control_result.smallest_detectable_auroc is None


def test_figures_agree_with_the_redraws(make_scores: MakeScores, redraw: Redraw) -> None:
    scores = make_scores(leak=0.1, seed=4)
    result = evaluate_scores([scores], redraw, SETTINGS)[0]
    labels = redraw(sorted(scores.unit_ids), "utterance", 1000, 0)  # make_scores sorts its units
    observed = labelled_aurocs(scores.values, scores.members[None])[0]
    as_extreme = np.sum(labelled_aurocs(scores.values, labels) >= observed)
    assert result.p_value == result.p_value_corrected == pytest.approx((1 + as_extreme) / 1001)
    assert result.advantage == advantages(scores.values, scores.members[None])[0]
    assert result.advantage_null_mean == pytest.approx(advantages(scores.values, labels[:250]).mean())
    assert result.auroc == pytest.approx(observed)
    assert (result.n_members, result.n_nonmembers, result.n_speakers) == (100, 100, 10)
    assert [rate.fpr for rate in result.tpr_at_fpr] == SETTINGS.fprs


def test_the_order_of_units_and_of_attacks_changes_nothing(make_scores: MakeScores, redraw: Redraw) -> None:
    first_scores, second_scores = make_scores("one", leak=0.3), make_scores("other", two_sided=True, seed=1)
    order = np.random.default_rng(0).permutation(len(first_scores))
    first, second = evaluate_scores([first_scores, second_scores], redraw, SETTINGS)
    second_again, first_again = evaluate_scores([second_scores, take(first_scores, order, "one")], redraw, SETTINGS)
    assert second_again == second
    assert first_again.p_value_corrected == first.p_value_corrected
    assert first_again.auroc == pytest.approx(first.auroc)


def test_attacks_of_a_level_share_redraws_even_if_their_units_differ(make_scores: MakeScores, redraw: Redraw) -> None:
    calls: list[tuple[int, str]] = []

    def counting(units: Sequence[str], level: str, n: int, seed: int) -> np.ndarray:
        calls.append((len(units), level))
        return redraw(units, level, n, seed)

    whole = make_scores("whole", leak=1.5)
    speakers = make_scores("speaker_attack", level="speaker", n_speakers=14)
    results = evaluate_scores([whole, speakers, take(whole, np.arange(120), "part")], counting, SETTINGS)
    assert calls == [(200, "utterance"), (14, "speaker")]
    assert [result.n_speakers for result in results] == [10, 14, 6]
    assert results[2].p_value_corrected == 1 / 1001


def test_families_are_levels_and_accesses(make_scores: MakeScores, redraw: Redraw) -> None:
    attack = make_scores("attack", leak=0.15)
    crowd = [make_scores(f"crowd_{number}", access="black-box", seed=number) for number in range(1, 9)]
    alone = evaluate_scores([attack], redraw, SETTINGS)[0]
    beside = evaluate_scores([attack, *crowd], redraw, SETTINGS)[0]
    assert beside.smallest_detectable_auroc is not None
    assert alone.smallest_detectable_auroc is not None
    assert beside.smallest_detectable_auroc > alone.smallest_detectable_auroc  # the overall verdict has two families
    assert replace(beside, smallest_detectable_auroc=alone.smallest_detectable_auroc) == alone
    crowded = evaluate_scores([attack, *(replace(scores, access="grey-box") for scores in crowd)], redraw, SETTINGS)[0]
    assert crowded.p_value_corrected is not None
    assert crowded.smallest_detectable_auroc is not None
    assert crowded.p_value == alone.p_value < crowded.p_value_corrected
    assert crowded.smallest_detectable_auroc > alone.smallest_detectable_auroc


def test_blind_scores_adjust_the_attacks_of_their_level(make_scores: MakeScores, redraw: Redraw) -> None:
    attack = make_scores("attack", leak=1.0)
    blind = replace(attack, name="blind", access="none")  # the blind score explains all of it
    context = Context(blind=blind)
    assert (
        evaluate_scores([attack], redraw, SETTINGS, {(attack.name, "utterance"): context})[0].auroc_blind_adjusted
        == 0.5
    )
    assert (
        evaluate_scores([attack], redraw, SETTINGS, {(attack.name, "speaker"): context})[0].auroc_blind_adjusted is None
    )


def test_a_result_contains_its_context(make_scores: MakeScores, redraw: Redraw) -> None:
    scores = make_scores("lira", leak=1.0)
    each = EachAsTarget(4, 0.7, 0.01, (0.1, 0.3), 0.5, 0.02)
    fewer = SubsetResult(2, 0.6, (0.5, 0.7), ())
    context = Context(n_shadows=4, queries=3, in_turn=each, with_fewer=(fewer,))
    (result,) = evaluate_scores([scores], redraw, SETTINGS, {("lira", "utterance"): context})
    assert (result.n_shadows, result.queries, result.in_turn) == (4, 3, each)
    all_shadows = SubsetResult(4, result.auroc, result.auroc_ci95, result.tpr_at_fpr)
    assert result.with_fewer == (fewer, all_shadows)
    (alone,) = evaluate_scores([scores], redraw, SETTINGS)
    assert alone == replace(result, n_shadows=0, queries=None, in_turn=None, with_fewer=())


def test_duplicate_names_at_one_level_are_rejected(make_scores: MakeScores, redraw: Redraw) -> None:
    with pytest.raises(ValueError, match="each \\(name, level\\) once"):
        evaluate_scores([make_scores(), make_scores(seed=1)], redraw, SETTINGS)
    assert evaluate_scores([], redraw, SETTINGS) == []


def test_a_blind_baseline_is_compared_with_its_refits(make_scores: MakeScores, redraw: Redraw) -> None:
    scores = make_scores("blind", access="none", leak=1.0)
    labels = redraw(scores.unit_ids, "utterance", 1000, 0)
    noise = np.random.default_rng(0).normal(size=labels.shape)
    blind = evaluate_blind(scores, *aurocs_and_advantages(noise, labels), SETTINGS)
    assert blind.result.p_value == 1 / 1001
    assert blind.result.p_value_corrected is None
    assert blind.result.auroc < blind.upper95 < 1
    refitted = evaluate_blind(scores, *aurocs_and_advantages(noise + 3.0 * labels, labels), SETTINGS)
    assert refitted.result.p_value > 0.9  # refitting separates any labels as well
    assert refitted.result.advantage_null_mean > blind.result.advantage_null_mean


def test_the_blind_bound_is_one_sided(make_scores: MakeScores, redraw: Redraw) -> None:
    scores = make_scores("blind", level="speaker", access="none", n_speakers=200)
    labels = redraw(scores.unit_ids, "speaker", 1000, 0)
    redrawn = labelled_aurocs(scores.values, labels), advantages(scores.values, labels)
    blind = evaluate_blind(scores, *redrawn, SETTINGS)
    assert blind.result.auroc < blind.upper95 < blind.result.auroc_ci95[1]
    assert blind.upper95 - blind.result.auroc == pytest.approx(
        1.645 * 0.041, abs=0.003
    )  # 100 member and non-member speakers each


def test_results_are_plain_numbers(make_scores: MakeScores, redraw: Redraw) -> None:
    context = Context(make_scores(seed=1), make_scores(seed=2))
    result = evaluate_scores([make_scores()], redraw, SETTINGS, {("attack", "utterance"): context})[0]

    def check(value: object) -> None:
        if isinstance(value, (dict, list, tuple)):
            for part in value.values() if isinstance(value, dict) else value:
                check(part)
        else:
            assert value is None or type(value) in (str, int, float, bool)

    check(asdict(result))


def test_groups_of_exposures_are_compared_with_the_same_non_members(make_scores: MakeScores, redraw: Redraw) -> None:
    scores = make_scores("loss")
    times = np.where(np.arange(len(scores)) % 2, 16, 1)
    leaking = replace(scores, values=scores.values + 2.0 * (scores.members & (times == 16)))
    exposures = dict(zip(scores.unit_ids.tolist(), times.tolist(), strict=True))
    context = {leaking.key: Context(exposures=exposures)}
    (result,) = evaluate_scores([leaking], redraw, SETTINGS, context)
    once, often = result.by_exposures
    assert (once.exposures, often.exposures) == (1, 16)
    assert once.n_members + often.n_members == result.n_members
    for group in (once, often):
        chosen = leaking.members & (times == group.exposures)
        pairs = leaking.values[chosen][:, None] - leaking.values[~leaking.members]
        assert group.auroc == pytest.approx(np.mean(pairs > 0), abs=1e-12)
        assert group.auroc_ci95[0] <= group.auroc <= group.auroc_ci95[1]
        assert [rate.fpr for rate in group.tpr_at_fpr] == list(SETTINGS.fprs)
    assert often.auroc_ci95[0] > once.auroc_ci95[1]
    assert evaluate_scores([leaking], redraw, SETTINGS)[0].by_exposures == ()
