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
    evaluate,
    evaluate_blind,
)
from lightning_mia.evaluation.statistics.auroc import auroc_of_labels
from lightning_mia.evaluation.statistics.roc import advantages, aurocs_and_advantages

MakeScores = Callable[..., Scores]
Redraw = Callable[..., np.ndarray]
SETTINGS = EvaluationSettings(n_bootstraps=200)


def take(scores: Scores, rows: Sequence[int] | np.ndarray, name: str) -> Scores:
    arrays = (scores.unit_ids, scores.speakers, scores.members, scores.values)
    return Scores(name, scores.level, scores.access, scores.two_sided, *(array[rows] for array in arrays))


def test_finds_a_planted_leak_and_nothing_where_nothing_is(make_scores: MakeScores, redraw: Redraw) -> None:
    leaking, silent = make_scores("leaking", leak=1.5), make_scores("silent", seed=1)
    control = make_scores("untrained_leaking", access="none", seed=2)
    wrong = {("leaking", "utterance"): Context(wrong_model=make_scores("leaking", seed=3))}
    results = evaluate([leaking, silent, control], redraw, SETTINGS, wrong)
    assert [result.name for result in results] == ["leaking", "silent", "untrained_leaking"]
    found, nothing, of_control = results
    assert found.p_value == found.p_value_corrected == 1 / 1001
    assert found.auroc_ci95[0] > 0.5
    assert found.versus_wrong_model is not None
    assert found.versus_wrong_model.lower95 > 0
    assert found.advantage > 5 * found.advantage_null_mean > 0
    assert found.smallest_detectable_auroc is not None
    assert 0.5 < found.smallest_detectable_auroc < found.auroc
    assert nothing.p_value_corrected is not None
    assert nothing.p_value_corrected >= nothing.p_value > 0.05
    assert nothing.versus_wrong_model is None
    assert of_control.p_value_corrected is of_control.smallest_detectable_auroc is None


def test_figures_are_those_of_the_redraws(make_scores: MakeScores, redraw: Redraw) -> None:
    scores = make_scores(leak=0.1, seed=4)
    result = evaluate([scores], redraw, SETTINGS)[0]
    labels = redraw(sorted(scores.unit_ids), "utterance", 1000, 0)  # make_scores sorts its units
    observed = auroc_of_labels(scores.values, scores.members[None])[0]
    as_extreme = np.sum(auroc_of_labels(scores.values, labels) >= observed)
    assert result.p_value == result.p_value_corrected == pytest.approx((1 + as_extreme) / 1001)
    assert result.advantage == advantages(scores.values, scores.members[None])[0]
    assert result.advantage_null_mean == pytest.approx(advantages(scores.values, labels[:250]).mean())
    assert result.auroc == pytest.approx(observed)
    assert (result.n_members, result.n_nonmembers, result.n_speakers) == (100, 100, 10)
    assert [one.fpr for one in result.tpr_at_fpr] == SETTINGS.fprs


def test_the_order_of_units_and_of_attacks_changes_nothing(make_scores: MakeScores, redraw: Redraw) -> None:
    one, other = make_scores("one", leak=0.3), make_scores("other", two_sided=True, seed=1)
    order = np.random.default_rng(0).permutation(len(one))
    first, second = evaluate([one, other], redraw, SETTINGS)
    second_again, first_again = evaluate([other, take(one, order, "one")], redraw, SETTINGS)
    assert second_again == second
    assert first_again.p_value_corrected == first.p_value_corrected
    assert first_again.auroc == pytest.approx(first.auroc)


def test_attacks_of_a_level_share_redraws_also_where_their_units_differ(
    make_scores: MakeScores, redraw: Redraw
) -> None:
    asked: list[tuple[int, str]] = []

    def counting(units: Sequence[str], level: str, n: int, seed: int) -> np.ndarray:
        asked.append((len(units), level))
        return redraw(units, level, n, seed)

    whole = make_scores("whole", leak=1.5)
    speakers = make_scores("of_speakers", level="speaker", n_speakers=14)
    results = evaluate([whole, speakers, take(whole, np.arange(120), "part")], counting, SETTINGS)
    assert asked == [(200, "utterance"), (14, "speaker")]
    assert [result.n_speakers for result in results] == [10, 14, 6]
    assert results[2].p_value_corrected == 1 / 1001


def test_families_are_levels_and_accesses(make_scores: MakeScores, redraw: Redraw) -> None:
    attack = make_scores("attack", leak=0.15)
    crowd = [make_scores(f"crowd_{number}", access="black-box", seed=number) for number in range(1, 9)]
    alone = evaluate([attack], redraw, SETTINGS)[0]
    assert evaluate([attack, *crowd], redraw, SETTINGS)[0] == alone
    crowded = evaluate([attack, *(replace(one, access="grey-box") for one in crowd)], redraw, SETTINGS)[0]
    assert crowded.p_value_corrected is not None
    assert crowded.smallest_detectable_auroc is not None
    assert alone.smallest_detectable_auroc is not None
    assert crowded.p_value == alone.p_value < crowded.p_value_corrected
    assert crowded.smallest_detectable_auroc > alone.smallest_detectable_auroc


def test_blind_scores_adjust_the_attacks_of_their_level(make_scores: MakeScores, redraw: Redraw) -> None:
    attack = make_scores("attack", leak=1.0)
    blind = replace(attack, name="blind", access="none")  # the blind score explains all of it
    context = Context(blind=blind)
    assert evaluate([attack], redraw, SETTINGS, {(attack.name, "utterance"): context})[0].auroc_blind_adjusted == 0.5
    assert evaluate([attack], redraw, SETTINGS, {(attack.name, "speaker"): context})[0].auroc_blind_adjusted is None


def test_the_result_has_what_was_known_before(make_scores: MakeScores, redraw: Redraw) -> None:
    scores = make_scores("lira", leak=1.0)
    each = EachAsTarget(4, 0.7, 0.01, (0.1, 0.3), 0.5, 0.02)
    fewer = SubsetResult(2, 0.6, (0.5, 0.7), ())
    context = Context(n_shadows=4, queries=3, in_turn=each, with_fewer=(fewer,))
    (result,) = evaluate([scores], redraw, SETTINGS, {("lira", "utterance"): context})
    assert (result.n_shadows, result.queries, result.in_turn) == (4, 3, each)
    all_shadows = SubsetResult(4, result.auroc, result.auroc_ci95, result.tpr_at_fpr)
    assert result.with_fewer == (fewer, all_shadows)
    (alone,) = evaluate([scores], redraw, SETTINGS)
    assert alone == replace(result, n_shadows=0, queries=None, in_turn=None, with_fewer=())


def test_same_name_and_level_twice_is_our_fault(make_scores: MakeScores, redraw: Redraw) -> None:
    with pytest.raises(ValueError, match="each \\(name, level\\) once"):
        evaluate([make_scores(), make_scores(seed=1)], redraw, SETTINGS)
    assert evaluate([], redraw, SETTINGS) == []


def test_a_blind_control_is_judged_against_its_own_refits(make_scores: MakeScores, redraw: Redraw) -> None:
    scores = make_scores("blind", access="none", leak=1.0)
    labels = redraw(scores.unit_ids, "utterance", 1000, 0)
    noise = np.random.default_rng(0).normal(size=labels.shape)
    found = evaluate_blind(scores, *aurocs_and_advantages(noise, labels), SETTINGS)
    assert found.result.p_value == 1 / 1001
    assert found.result.p_value_corrected is None
    assert found.result.auroc < found.upper95 < 1
    fitted_as_well = evaluate_blind(scores, *aurocs_and_advantages(noise + 3.0 * labels, labels), SETTINGS)
    assert fitted_as_well.result.p_value > 0.9  # refitting finds as much in any labels
    assert fitted_as_well.result.advantage_null_mean > found.result.advantage_null_mean


def test_the_blind_bound_is_one_sided(make_scores: MakeScores, redraw: Redraw) -> None:
    scores = make_scores("blind", level="speaker", access="none", n_speakers=200)
    labels = redraw(scores.unit_ids, "speaker", 1000, 0)
    of_labels = auroc_of_labels(scores.values, labels), advantages(scores.values, labels)
    found = evaluate_blind(scores, *of_labels, SETTINGS)
    assert found.result.auroc < found.upper95 < found.result.auroc_ci95[1]
    assert found.upper95 - found.result.auroc == pytest.approx(1.645 * 0.041, abs=0.003)  # 100 speakers a side


def test_results_are_plain_numbers(make_scores: MakeScores, redraw: Redraw) -> None:
    context = Context(make_scores(seed=1), make_scores(seed=2))
    result = evaluate([make_scores()], redraw, SETTINGS, {("attack", "utterance"): context})[0]

    def check(value: object) -> None:
        if isinstance(value, (dict, list, tuple)):
            for part in value.values() if isinstance(value, dict) else value:
                check(part)
        else:
            assert value is None or type(value) in (str, int, float, bool)

    check(asdict(result))
