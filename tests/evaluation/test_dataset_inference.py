from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, rankdata, ttest_ind, ttest_rel

from lightning_mia.evaluation import EvaluationSettings, Scores
from lightning_mia.evaluation import dataset_inference as inference_module
from lightning_mia.evaluation.dataset_inference import (
    DatasetInference,
    PAtSize,
    SubsetSampler,
    dataset_inference,
    mean_differences,
    p_value_over_speakers,
)

MakeScores = Callable[..., Scores]
Redraw = Callable[..., np.ndarray]
SETTINGS = EvaluationSettings(n_redraws=1000)


def normal(values: np.ndarray) -> np.ndarray:
    return norm.ppf((rankdata(values) - 0.5) / len(values))


@pytest.fixture
def few_subsamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference_module, "N_SUBSAMPLES", 8)


@pytest.mark.usefixtures("few_subsamples")
def test_the_p_value_equals_a_loop_over_the_redraws(make_scores: MakeScores, redraw: Redraw) -> None:
    scores = make_scores(leak=0.2, seed=3)
    inference = dataset_inference([scores], redraw, SETTINGS)[0]
    values = normal(scores.values)
    differences = [
        values[labels].mean() - values[~labels].mean()
        for labels in [scores.members, *redraw(scores.unit_ids, "utterance", 1000, 0)]
    ]
    assert inference.difference == pytest.approx(differences[0])
    assert inference.p_value == pytest.approx(np.mean(np.array(differences) >= differences[0] - 1e-12))
    assert 0.001 < inference.p_value < 0.5
    assert (inference.n_suspect, inference.n_validation) == (100, 100)


@pytest.mark.slow
def test_larger_leaks_need_fewer_recordings(make_scores: MakeScores, redraw: Redraw) -> None:
    needed = [dataset_inference([make_scores(leak=leak)], redraw, SETTINGS)[0].units_needed for leak in (2.0, 1.0, 0.0)]
    large, small, none = needed
    assert none is None
    assert large is not None and small is not None
    assert 3 <= large <= 8 < small <= 45  # 80 % power of a one-sided t-test: 4.3 and 13.1 units each at 2 and 1 sd


@pytest.mark.slow
def test_without_a_leak_every_size_keeps_its_false_positive_rate(make_scores: MakeScores, redraw: Redraw) -> None:
    shares = [
        p_at_size.found
        for seed in range(6)
        for p_at_size in dataset_inference([make_scores(n_speakers=6, clips=12, seed=seed)], redraw, SETTINGS)[
            0
        ].by_size
        if p_at_size.size < 12  # larger subsamples overlap
    ]
    assert np.mean(shares) <= 0.06


@pytest.mark.usefixtures("few_subsamples")
def test_at_speaker_level_units_are_speakers(make_scores: MakeScores, redraw: Redraw) -> None:
    scores = make_scores(level="speaker", leak=3.0, n_speakers=24)
    inference = dataset_inference([scores], redraw, SETTINGS)[0]
    assert [p_at_size.size for p_at_size in inference.by_size] == [2, 3, 4, 6, 8, 11, 12]
    assert inference.p_value == pytest.approx(1 / 1001)
    assert inference.units_needed is not None and inference.units_needed <= 6


@pytest.mark.usefixtures("few_subsamples")
def test_subsamples_have_at_most_a_thousand_units(make_scores: MakeScores, redraw: Redraw) -> None:
    scores = make_scores(n_speakers=60, clips=40)
    inference = dataset_inference([scores], redraw, SETTINGS)[0]
    assert (inference.n_suspect, inference.by_size[-1].size, inference.by_size[-2].size) == (1200, 1000, 724)


@pytest.mark.usefixtures("few_subsamples")
def test_an_unknown_sign_gives_a_two_sided_test(make_scores: MakeScores, redraw: Redraw) -> None:
    scores = make_scores(leak=-1.5)
    two_sided_test = dataset_inference([replace(scores, two_sided=True)], redraw, SETTINGS)[0]
    one_sided_test = dataset_inference([scores], redraw, SETTINGS)[0]
    assert two_sided_test.p_value == pytest.approx(1 / 1001)
    assert two_sided_test.p_value_t < 0.01 and two_sided_test.units_needed is not None
    assert one_sided_test.p_value > 0.9 and one_sided_test.p_value_t > 0.9 and one_sided_test.units_needed is None


def test_speakers_with_members_or_non_members_only_give_welchs_test(make_scores: MakeScores) -> None:
    scores = make_scores(level="speaker", leak=0.8, n_speakers=15)
    values = normal(scores.values)
    expected = ttest_ind(values[scores.members], values[~scores.members], equal_var=False, alternative="greater")
    assert p_value_over_speakers(scores) == pytest.approx(expected.pvalue)


def test_speakers_with_both_give_the_paired_test(make_scores: MakeScores) -> None:
    scores = make_scores(leak=0.4)
    values, speakers = normal(scores.values), np.unique(scores.speakers)
    means = {
        label: [values[(scores.speakers == name) & (scores.members == label)].mean() for name in speakers]
        for label in (True, False)
    }
    expected = ttest_rel(means[True], means[False], alternative="greater")
    assert p_value_over_speakers(scores) == pytest.approx(expected.pvalue)
    two_sided = ttest_rel(means[True], means[False])
    assert p_value_over_speakers(replace(scores, two_sided=True)) == pytest.approx(two_sided.pvalue)


def test_a_single_speaker_has_no_t_test(make_scores: MakeScores) -> None:
    assert np.isnan(p_value_over_speakers(make_scores(n_speakers=1)))


def test_equal_scores_are_not_significant(make_scores: MakeScores, redraw: Redraw) -> None:
    scores = replace(make_scores(n_speakers=4, clips=6), values=np.zeros(24))
    inference = dataset_inference([scores], redraw, SETTINGS)[0]
    assert (inference.difference, inference.p_value, inference.p_value_t, inference.units_needed) == (
        0.0,
        1.0,
        1.0,
        None,
    )


def test_the_validation_set_has_the_speakers_of_the_suspect_set(make_scores: MakeScores) -> None:
    scores = make_scores()
    positions = SubsetSampler(scores).draw(20, np.random.default_rng(0))
    suspects, validation = (positions[scores.members[positions] == label] for label in (True, False))
    assert len(suspects) == len(validation) == 20
    assert sorted(scores.speakers[suspects]) == sorted(scores.speakers[validation])


def test_labels_without_members_have_no_difference() -> None:
    labels = np.array([[True, True], [False, False], [True, False]])
    assert mean_differences(np.array([1.0, 3.0]), labels).tolist() == [0.0, 0.0, -2.0]


def test_all_sizes_from_the_needed_one_on_are_sufficient() -> None:
    shares = {2: 0.9, 4: 0.5, 8: 0.82, 16: 1.0}
    by_size = tuple(PAtSize(size, 0.01, share) for size, share in shares.items())
    inference = DatasetInference("attack", "utterance", "grey-box", False, 16, 16, 1.0, 0.001, 0.001, by_size)
    assert inference.units_needed == 8
    assert replace(inference, by_size=by_size[:2]).units_needed is None


@pytest.mark.slow
def test_attacks_on_the_same_units_have_the_same_results_together_as_alone(
    make_scores: MakeScores, redraw: Redraw
) -> None:
    first, second = make_scores("first", leak=1.0), make_scores("second", seed=1)
    second = replace(second, unit_ids=first.unit_ids, speakers=first.speakers, members=first.members, two_sided=True)
    together = dataset_inference([first, second], redraw, SETTINGS)
    assert together == [dataset_inference([scores], redraw, SETTINGS)[0] for scores in (first, second)]
    with pytest.raises(ValueError, match="same units"):
        dataset_inference([first, replace(second, unit_ids=second.unit_ids[::-1])], redraw, SETTINGS)
