from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lightning_mia.evaluation import Scores
from lightning_mia.evaluation.statistics.adjustment import align, blind_adjusted_auroc, normal_scores
from lightning_mia.evaluation.statistics.auroc import auroc


@pytest.fixture
def template(make_scores: Callable[..., Scores]) -> Scores:
    return make_scores(n_speakers=40, clips=20)


def confounded_pair(template: Scores, leak: float, seed: int = 0) -> tuple[Scores, Scores]:
    """Let both scores reflect duration, the attack also the leak."""
    generator = np.random.default_rng(seed)
    duration = generator.normal(size=len(template)) + 1.0 * template.members
    attack = duration + 0.5 * generator.normal(size=len(template)) + leak * template.members
    return replace(template, values=attack), replace(template, name="blind", access="none", values=duration)


def test_a_confound_is_removed(template: Scores) -> None:
    pairs = [confounded_pair(template, leak=0.0, seed=seed) for seed in range(20)]
    assert np.mean([auroc(scores.values, scores.members) for scores, _ in pairs]) > 0.7
    assert np.mean([blind_adjusted_auroc(*pair) for pair in pairs]) == pytest.approx(0.5, abs=0.015)


def test_a_leak_remains(template: Scores) -> None:
    scores, blind = confounded_pair(template, leak=1.0)
    assert blind_adjusted_auroc(scores, blind) > 0.8


def test_an_unrelated_or_constant_blind_score_changes_nothing(template: Scores) -> None:
    scores, blind = confounded_pair(template, leak=1.0)
    noise = replace(blind, values=np.random.default_rng(1).normal(size=len(blind)))
    assert blind_adjusted_auroc(scores, noise) == pytest.approx(auroc(scores.values, scores.members), abs=0.02)
    constant = replace(blind, values=np.zeros(len(blind)))
    assert blind_adjusted_auroc(scores, constant) == auroc(scores.values, scores.members)


def test_normal_scores_keep_order_and_ties_and_limit_outliers() -> None:
    scores = normal_scores(np.array([5.0, 1e9, 5.0, -3.0]))
    assert scores[0] == scores[2]
    assert scores.tolist() == pytest.approx([0.0, 1.150349, 0.0, -1.150349], abs=1e-6)


def test_units_are_matched_by_id_and_must_be_complete(template: Scores) -> None:
    order = np.random.default_rng(2).permutation(len(template))
    shuffled = Scores(
        *("blind", "utterance", "none", False),
        *(array[order] for array in (template.unit_ids, template.speakers, template.members, template.values)),
    )
    np.testing.assert_array_equal(align(shuffled, template), template.values)
    incomplete = Scores(
        *("blind", "utterance", "none", False),
        *(array[1:] for array in (template.unit_ids, template.speakers, template.members, template.values)),
    )
    with pytest.raises(ValueError, match="blind lacks 1 of the units of attack, s000-000 first"):
        align(incomplete, template)
