"""Paired differences of AUROCs: target and wrong model, two attacks."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from lightning_mia.evaluation import Difference, Scores
from lightning_mia.evaluation.paired import paired_difference, versus_wrong_model
from lightning_mia.evaluation.statistics.bootstrap import bootstrap_auroc, draw_speakers

MakeScores = Callable[..., Scores]


def compare(scores: Scores, wrong: Scores, n_bootstraps: int = 300) -> Difference:
    draws = draw_speakers(scores.speakers, scores.members, n_bootstraps, seed=0)
    return versus_wrong_model(scores, wrong, draws, bootstrap_auroc(scores.values, scores.members, draws))


def test_the_bound_is_students_t_on_paired_replicates(make_scores: MakeScores) -> None:
    scores, wrong = make_scores(leak=1.0, seed=1), make_scores(seed=2)
    draws = draw_speakers(scores.speakers, scores.members, 300, seed=0)
    replicates = [bootstrap_auroc(model.values, model.members, draws) for model in (scores, wrong)]
    spread = (replicates[0] - replicates[1]).std(ddof=1)
    difference = compare(scores, wrong)
    assert difference.standard_error == pytest.approx(spread)
    assert difference.lower95 == pytest.approx(difference.value - student.ppf(0.95, 9) * spread)
    assert difference.lower95 > 0


def test_a_model_does_not_differ_from_itself(make_scores: MakeScores) -> None:
    scores = make_scores(leak=1.0)
    assert compare(scores, scores) == Difference(0.0, 0.0, 0.0, compare(scores, scores).auroc_wrong_model)


def test_two_sided_attacks_take_the_direction_of_the_target_at_a_stricter_level(make_scores: MakeScores) -> None:
    scores, wrong = make_scores(leak=1.0, seed=1), make_scores(seed=2)
    up = compare(replace(scores, two_sided=True), wrong)
    down = compare(replace(scores, two_sided=True, values=-scores.values), replace(wrong, values=-wrong.values))
    assert down.value == pytest.approx(up.value)
    assert down.lower95 == pytest.approx(up.lower95, abs=1e-9)
    assert down.auroc_wrong_model == pytest.approx(1 - up.auroc_wrong_model)
    assert up.lower95 == pytest.approx(up.value - student.ppf(0.975, 9) * up.standard_error)


@pytest.mark.slow
@pytest.mark.parametrize(("two_sided", "confound"), [(False, 0.0), (True, 0.0), (False, 1.5), (True, 1.5)])
def test_models_without_members_differ_in_five_percent(
    make_scores: MakeScores, two_sided: bool, confound: float
) -> None:
    """Include a confound, which at 1.5 gives AUROC .77."""
    alarms = []
    for seed in range(250):
        target = make_scores(two_sided=two_sided, leak=confound, seed=2 * seed)
        wrong = make_scores(leak=confound, seed=2 * seed + 1)
        alarms.append(compare(target, wrong, n_bootstraps=200).lower95 > 0)
    assert 0.01 < np.mean(alarms) < 0.09


def test_too_few_speakers_have_a_trivial_bound(make_scores: MakeScores) -> None:
    scores = make_scores(n_speakers=1, leak=3.0)
    assert compare(scores, make_scores(n_speakers=1)).lower95 == -1.0


def test_units_missing_from_the_wrong_model_are_rejected(make_scores: MakeScores) -> None:
    with pytest.raises(ValueError, match="lacks 20 of the units"):
        compare(make_scores(n_speakers=10), make_scores(n_speakers=9))


def planted(seed: int, shifts: tuple[float, float], voice: float = 1.0) -> tuple[Scores, Scores]:
    """Plant two attacks with common speaker means and noise."""
    rng = np.random.default_rng(seed)
    speaker, members = np.repeat(np.arange(15), 10), np.tile(np.arange(10) < 5, 15)
    common = voice * rng.normal(size=15)[speaker] + rng.normal(size=150)
    scores = [
        Scores("a", "utterance", "grey-box", False, np.arange(150).astype(str), speaker.astype(str), members, values)
        for values in (common + rng.normal(size=150) + shift * members for shift in shifts)
    ]
    return scores[0], scores[1]


def test_the_interval_covers_zero_and_detects_a_large_difference() -> None:
    covered = []
    for seed in range(60):
        difference = paired_difference(*planted(seed, (1.0, 1.0)), n_bootstraps=300)
        covered.append(difference.ci95[0] <= 0 <= difference.ci95[1])
    assert np.mean(covered) >= 0.88
    assert paired_difference(*planted(0, (0.0, 2.0))).ci95[0] > 0.1


def test_pairing_narrows_the_interval() -> None:
    first, second = planted(1, (1.0, 1.0), voice=3.0)
    low, high = paired_difference(first, second).ci95
    independent = replace(second, values=planted(2, (1.0, 1.0), voice=3.0)[1].values)
    unpaired = paired_difference(first, independent).ci95
    assert high - low < 0.7 * (unpaired[1] - unpaired[0])


def test_the_order_of_units_does_not_matter() -> None:
    first, second = planted(3, (0.5, 1.5))
    order = np.random.default_rng(0).permutation(len(second))
    shuffled = replace(
        second,
        unit_ids=second.unit_ids[order],
        speakers=second.speakers[order],
        members=second.members[order],
        values=second.values[order],
    )
    assert paired_difference(first, shuffled) == paired_difference(first, second)


def test_equal_scores_do_not_differ_but_two_perfect_attacks_may() -> None:
    first, _ = planted(4, (1.0, 1.0))
    assert paired_difference(first, first).ci95 == (0.0, 0.0)
    perfect = [replace(first, values=first.values * scale + 99 * first.members) for scale in (1.0, -1.0)]
    low, high = paired_difference(*perfect).ci95
    assert low < 0 < high


def test_different_units_or_labels_are_rejected() -> None:
    first, second = planted(5, (1.0, 1.0))
    with pytest.raises(ValueError, match="do not have the same units"):
        paired_difference(first, replace(second, members=~second.members))
