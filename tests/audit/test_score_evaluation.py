"""`evaluate` of arrays: agreement with independent formulas, size under the null, bad input."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from lightning_mia import EvaluationSettings, InputError, evaluate
from lightning_mia.audit.score_evaluation import array_split
from lightning_mia.evaluation.statistics.auroc import auroc, labelled_aurocs

N = 120


def leaking(seed: int = 0, effect: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (n,), members (n,) and groups (n,) of 24 groups of 5 units with both labels."""
    rng = np.random.default_rng(seed)
    members = rng.permutation(np.arange(N) % 2 == 0)
    return rng.normal(effect * members), members, np.repeat([f"s{group}" for group in range(N // 5)], 5)


def test_figures_are_those_of_scikit_learn() -> None:
    scores, members, groups = leaking()
    result = evaluate(scores, members, groups, fprs=(0.1, 0.01))
    assert result.auroc == pytest.approx(roc_auc_score(members, scores), abs=1e-12)
    threshold = np.sort(scores[~members])[::-1][6]  # at most 10 % of 60 non-members are at or above the next one
    assert result.tpr_at_fpr[0].tpr == np.mean(scores[members] > threshold)
    assert result.auroc_ci95[0] < result.auroc < result.auroc_ci95[1]
    assert result.p_value < 0.01
    assert (result.result.n_members, result.result.n_nonmembers, result.result.n_speakers) == (60, 60, 24)
    assert [rate.fpr for rate in result.tpr_at_fpr] == [0.1, 0.01]


@pytest.mark.parametrize(
    "convert",
    [torch.from_numpy, pd.Series, np.ndarray.tolist, lambda array: pd.Series(array, index=range(N, 0, -1))],
    ids=["torch", "Series", "list", "Series with another index"],
)
def test_every_kind_of_array_gives_the_same_result(convert: Callable[[np.ndarray], Any]) -> None:
    scores, members, groups = leaking()
    expected = evaluate(scores, members, groups)
    assert repr(evaluate(convert(scores), convert(members), groups.tolist())) == repr(expected)
    assert repr(evaluate(scores, members.astype(int), pd.Categorical(groups))) == repr(expected)


def test_integer_groups_are_names() -> None:
    scores, members, _ = leaking()
    groups = np.arange(N) // 5
    assert evaluate(scores, members, groups).auroc_ci95 == evaluate(scores, members, groups.astype(str)).auroc_ci95


def test_groups_widen_the_interval_of_dependent_units() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(24), 5)
    members = groups % 2 == 0
    scores = 3 * rng.normal(size=24)[groups] + rng.normal(size=N)
    apart, together = evaluate(scores, members), evaluate(scores, members, groups)
    assert together.auroc == apart.auroc
    assert np.ptp(together.auroc_ci95) > 1.5 * np.ptp(apart.auroc_ci95)
    assert together.p_value > 3 * apart.p_value


def test_labels_are_redrawn_as_groups_and_within_groups() -> None:
    groups = np.repeat(["a", "b", "c", "d", "e"], 4)
    members = np.array([*[1] * 8, *[0] * 4, 1, 0, 0, 0, 1, 1, 0, 0], dtype=bool)
    split = array_split(members, groups)
    redrawn = split.redraw(split.table["id"].tolist(), "utterance", 1000, 0)
    whole = redrawn[:, :12].reshape(-1, 3, 4)  # a and b are members, c is not: one label each
    assert (whole == whole[..., :1]).all()
    assert set(whole[..., 0].sum(1).tolist()) == {2}
    assert set(redrawn[:, 12:16].sum(1).tolist()) == {1}
    assert set(redrawn[:, 16:].sum(1).tolist()) == {2}


def draw_labels(kind: str, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Assign membership to groups, to units, or within groups, regardless of the scores."""
    n_groups = groups.max() + 1
    if kind == "groups":
        return rng.permutation(np.arange(n_groups) < 0.3 * n_groups)[groups]
    if kind == "coins":
        return rng.random(len(groups)) < 0.5
    return np.concatenate([rng.permutation(np.arange(np.sum(groups == g)) % 2 == 0) for g in range(n_groups)])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["groups", "coins", "within"])
def test_the_p_value_has_its_size_without_a_leak(kind: str) -> None:
    """300 simulated arrays with strong group effects, of which 5 % may be significant: at most 9 % are seen."""
    n_significant = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, 10, 24)
        groups = np.repeat(np.arange(24), sizes)
        members = draw_labels(kind, groups, rng)
        scores = 2 * rng.normal(size=24)[groups] + rng.normal(size=len(groups))
        split = array_split(members, groups.astype(str))
        redrawn = split.redraw(split.table["id"].tolist(), "utterance", 199, seed)
        n_above = np.sum(labelled_aurocs(scores, redrawn) >= auroc(scores, members) - 1e-9)
        n_significant += bool((1 + n_above) / (1 + len(redrawn)) <= 0.05)
    assert n_significant <= 27


def test_settings_are_passed_on() -> None:
    scores, members, groups = leaking(effect=0.4)
    few, many = (evaluate(scores, members, groups, settings=EvaluationSettings(n)) for n in (1000, 5000))
    assert few.p_value != many.p_value
    assert evaluate(-scores, members, groups, two_sided=True).p_value < 0.1


def test_a_notebook_shows_figures_and_roc() -> None:
    scores, members, groups = leaking()
    result = evaluate(scores, members, groups)
    text = repr(result)
    assert text.startswith(f"AUROC {result.auroc:.3f} [")
    assert "60 members, 60 non-members, 24 groups" in text
    html = result._repr_html_()
    for part in ("<th>AUROC</th>", "<th>p</th>", "TPR at FPR 1 %", "TPR at FPR 0.1 %", 'src="data:image/png;base64,'):
        assert part in html
    figure = result.roc_figure()
    assert [figure.axes[0].get_xscale(), figure.axes[0].get_yscale()] == ["log", "log"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, m, g: (s[1:], m, g), "differ in length: 119 scores, 120 members, 120 groups"),
        (lambda s, m, g: (s, m, g[:5]), "differ in length: 120 scores, 120 members, 5 groups"),
        (lambda s, m, g: (np.where(np.arange(N) == 7, np.nan, s), m, g), "1 of 120 scores are not finite, at index 7"),
        (lambda s, m, g: (s.astype(str), m, g), "scores are text, not numbers"),
        (lambda s, m, g: (s > 0, m, g), "scores are bool, not numbers"),
        (lambda s, m, g: (s[:, None], m, g), r"scores has shape \(120, 1\)"),
        (lambda s, m, g: (s, np.ones(N, bool), g), "120 of 120 units are members; give at least 4 members and 4"),
        (lambda s, m, g: (s, np.zeros(N, bool), g), "0 of 120 units are members"),
        (lambda s, m, g: (s, np.where(m, "member", "nonmember"), g), "members are text, not bool or 0 and 1"),
        (lambda s, m, g: (s, m * 2, g), "members are int64, not bool or 0 and 1"),
        (lambda s, m, g: (s, np.where(m, np.nan, 0), g), "members are float64, not bool or 0 and 1"),
        (lambda s, m, g: (s, np.stack([m, m], 1), g), r"members has shape \(120, 2\)"),
        (lambda s, m, g: (s, m, np.where(m, "a", "")), "60 of 120 groups have no name"),
        (lambda s, m, g: (s, m, pd.Series(np.where(m, "a", None))), "60 of 120 groups have no name"),
        (lambda s, m, g: (s, m, g[:, None]), r"groups has shape \(120, 1\)"),
        (lambda s, m, g: ([[1.0], [1.0, 2.0]], m, g), "an array cannot be read"),
    ],
)
def test_bad_arrays_are_refused_in_one_line(change: Callable[..., Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        evaluate(*change(*leaking()))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("fprs", "message"), [((), "fprs is empty"), ((0.0,), "fprs is 0.0"), ((2,), "fprs is 2")])
def test_bad_rates_are_refused(fprs: tuple[float, ...], message: str) -> None:
    scores, members, groups = leaking()
    with pytest.raises(InputError, match=message):
        evaluate(scores, members, groups, fprs)
