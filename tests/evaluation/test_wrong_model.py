"""Target against wrong model, for one attack and for families."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from lightning_mia.evaluation import Context, Difference, EvaluationSettings, Scores, evaluate_scores
from lightning_mia.evaluation.wrong_model import ModelPair, compare_family, resample_pair

MakeScores = Callable[..., Scores]
Redraw = Callable[..., np.ndarray]


def compare(scores: Scores, wrong: Scores, n_bootstraps: int = 300) -> Difference:
    return compare_family([resample_pair(scores, wrong, n_bootstraps)])[0]


def with_aurocs(example: ModelPair, target: float, wrong: float, noise: np.ndarray) -> ModelPair:
    """Replace the AUROCs of a pair, and their replicates."""
    return replace(
        example,
        target_auroc=target,
        wrong_auroc=wrong,
        target_replicates=target + noise[0],
        wrong_replicates=wrong + noise[1],
    )


def test_a_difference_beyond_its_bound_is_significant(make_scores: MakeScores) -> None:
    difference = compare(make_scores(leak=1.0, seed=1), make_scores(seed=2))
    assert difference.value > difference.lower95 > 0
    assert difference.p_value is not None
    assert difference.p_value < 0.05
    same = compare(make_scores(leak=1.0, seed=1), make_scores(leak=1.0, seed=3))
    assert (same.lower95 > 0) == (same.p_value is not None and same.p_value < 0.05)


def test_distances_from_chance_are_compared_not_signed_values(make_scores: MakeScores) -> None:
    example = resample_pair(make_scores(n_speakers=40, seed=1), make_scores(n_speakers=40, seed=2), 500)
    noise = np.random.default_rng(0).normal(scale=0.02, size=(2, 500))
    for wrong, value in ((0.29, -0.121), (0.71, -0.121), (0.51, 0.079), (0.49, 0.079)):
        (difference,) = compare_family([with_aurocs(example, 0.589, wrong, noise)])
        assert difference.value == pytest.approx(value)
        assert difference.auroc_wrong_model == wrong
        assert (difference.p_value is not None and difference.p_value < 0.05) == (value > 0)
    below = with_aurocs(example, 0.411, 0.51, noise)
    assert compare_family([below])[0].value == pytest.approx(-0.099)  # a one-sided attack below 0.5 reveals nothing
    assert compare_family([replace(below, target=replace(below.target, two_sided=True))])[0].value == pytest.approx(
        0.079
    )


def test_a_model_does_not_differ_from_itself(make_scores: MakeScores) -> None:
    scores = make_scores(leak=1.0)
    difference = compare(scores, scores)
    assert (difference.value, difference.standard_error) == (0.0, 0.0)
    assert difference.p_value == pytest.approx(1.0)


def test_two_sided_attacks_take_the_direction_of_the_target_at_a_stricter_level(make_scores: MakeScores) -> None:
    scores, wrong = make_scores(leak=1.0, seed=1), make_scores(seed=2)
    up = compare(replace(scores, two_sided=True), wrong)
    down = compare(replace(scores, two_sided=True, values=-scores.values), replace(wrong, values=-wrong.values))
    assert down.value == pytest.approx(up.value)
    assert down.lower95 == pytest.approx(up.lower95, abs=1e-9)
    assert down.auroc_wrong_model == pytest.approx(1 - up.auroc_wrong_model)
    assert up.lower95 < compare(scores, wrong).lower95


def test_bounds_of_a_family_are_simultaneous(make_scores: MakeScores) -> None:
    pairs = [resample_pair(make_scores(leak=1.0, seed=seed), make_scores(seed=seed + 50)) for seed in range(20)]
    alone = compare_family(pairs[:1])[0]
    together = compare_family(pairs)[0]
    repeated = compare_family([pairs[0]] * 20)[0]
    assert alone.p_value is not None and together.p_value is not None and repeated.p_value is not None
    assert together.value == alone.value
    assert together.lower95 < alone.lower95
    assert together.p_value > alone.p_value
    assert repeated.lower95 == pytest.approx(alone.lower95, abs=0.01)  # twenty equal attacks are one
    quantile = student.ppf(1 - 0.05 / 20, pairs[0].degrees_of_freedom)  # of Bonferroni
    assert together.lower95 > pairs[0].difference().lower(quantile) - 0.03


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_attacks", "two_sided", "confound"), [(1, False, 1.0), (6, True, 1.0), (20, False, 0.0), (20, False, 1.0)]
)
def test_models_that_respond_alike_differ_in_five_percent_of_families(
    make_scores: MakeScores, n_attacks: int, two_sided: bool, confound: float
) -> None:
    alarms = []
    for seed in range(100):
        pairs = [
            resample_pair(
                make_scores(two_sided=two_sided, leak=confound, clips=10, seed=1000 * seed + 2 * number),
                make_scores(leak=confound, clips=10, seed=1000 * seed + 2 * number + 1),
                n_bootstraps=100,
            )
            for number in range(n_attacks)
        ]
        alarms.append(any(difference.lower95 > 0 for difference in compare_family(pairs)))
    assert np.mean(alarms) <= 0.11  # 5 % in truth: exceeded in 1 % of cases


def test_too_few_speakers_have_a_trivial_bound(make_scores: MakeScores) -> None:
    difference = compare(make_scores(n_speakers=1, leak=3.0), make_scores(n_speakers=1))
    assert (difference.lower95, difference.p_value) == (-1.0, 1.0)


def test_the_wrong_model_is_tested_over_all_accesses(make_scores: MakeScores, redraw: Redraw) -> None:
    attacks = [make_scores(f"a{number}", access=access, seed=number) for number, access in enumerate(("grey-box",) * 2)]
    attacks += [make_scores("b", access="black-box", seed=5)]
    departing = make_scores("wrong", leak=1.0, seed=7)
    contexts = {attack.key: Context(wrong_model=make_scores(seed=20 + n)) for n, attack in enumerate(attacks[:2])}
    contexts[attacks[2].key] = Context(wrong_model=departing)
    results = evaluate_scores(attacks, redraw, EvaluationSettings(n_bootstraps=200), contexts)
    p_values = [result.versus_wrong_model.wrong_model_p_value for result in results if result.versus_wrong_model]
    assert p_values[2] == 1 / 1001
    assert min(p_values[:2]) > 0.05
    backwards = {attacks[2].key: Context(wrong_model=replace(departing, values=-departing.values))}
    (result,) = evaluate_scores(attacks[2:], redraw, EvaluationSettings(n_bootstraps=200), backwards)
    assert result.versus_wrong_model is not None
    assert result.versus_wrong_model.wrong_model_p_value == 1 / 1001


def test_units_missing_from_the_wrong_model_are_rejected(make_scores: MakeScores, redraw: Redraw) -> None:
    contexts = {("attack", "utterance"): Context(wrong_model=make_scores(n_speakers=9))}
    with pytest.raises(ValueError, match="lacks 20 of the units"):
        evaluate_scores([make_scores(n_speakers=10)], redraw, EvaluationSettings(n_bootstraps=200), contexts)


def test_the_order_of_the_wrong_model_does_not_matter(make_scores: MakeScores, redraw: Redraw) -> None:
    scores, wrong = make_scores(leak=1.0, seed=1), make_scores("wrong", access="none", seed=2)
    order = np.random.default_rng(0).permutation(len(wrong))
    shuffled = replace(
        wrong,
        **{name: getattr(wrong, name)[order] for name in ("unit_ids", "speakers", "members", "values")},
    )
    settings = EvaluationSettings(n_bootstraps=200)
    first, control = evaluate_scores([scores, wrong], redraw, settings, {scores.key: Context(wrong_model=wrong)})
    (second,) = evaluate_scores([scores], redraw, settings, {scores.key: Context(wrong_model=shuffled)})
    assert first.versus_wrong_model == second.versus_wrong_model
    assert control.auroc == pytest.approx(first.versus_wrong_model.auroc_wrong_model)
