"""Share of clean user-supplied splits that the blind baseline refuses."""

from dataclasses import replace

import numpy as np
import pytest

from lightning_mia.evaluation import AttackResult, BlindResult, EvaluationSettings, Scores, evaluate_blind
from lightning_mia.evaluation.clean_splits import (
    ACCEPTABLE_SHARE,
    CleanSplits,
    is_often_refused,
    refusal_clause,
    size_sentences,
)

RESULT = AttackResult("blind", "utterance", "none", 100, 100, 20, 0.5, (0.4, 0.6), 0.5, None, False, 0.1, 0.1, ())
SMALL = BlindResult(RESULT, 0.65, clean_refused=0.412, growth_needed=2.31)


def clean_splits(n: int, spread_at_100: float = 0.05) -> CleanSplits:
    """Clean splits of n + n independent units, whose blind AUROC has a standard deviation ∝ 1/√n."""
    spread = spread_at_100 * (100 / n) ** 0.5
    aurocs = np.random.default_rng(0).normal(0.5, spread, size=20_000)
    p_values = 1 - aurocs.argsort().argsort() / len(aurocs)
    return CleanSplits(aurocs, p_values, lambda auroc: min(1.0, auroc + 1.653 * spread), 2 * n - 2)


def test_the_share_equals_a_loop_over_the_redraws() -> None:
    clean = clean_splits(100)
    refused = [
        p < 0.05 or clean.upper_bound(auroc) > 0.6 for auroc, p in zip(clean.aurocs, clean.p_values, strict=True)
    ]
    assert clean.refused == np.mean(refused)
    assert clean.refused == pytest.approx(0.364, abs=0.01)  # P(Z > (0.6 − 0.5) / 0.05 − 1.653)


@pytest.mark.parametrize("n", [20, 100, 200])
def test_the_size_to_bring_is_refused_rarely(n: int) -> None:
    needed = clean_splits(n).growth_needed() * n
    assert needed == pytest.approx(249, rel=0.05)  # at 249 + 249 units, 0.1 = (1.645 + 1.514) standard deviations
    assert clean_splits(round(needed)).refused <= ACCEPTABLE_SHARE + 0.005
    assert clean_splits(round(needed / 1.2)).refused > ACCEPTABLE_SHARE


def test_a_large_split_is_refused_by_its_p_value_alone() -> None:
    clean = clean_splits(2000)
    assert clean.refused == pytest.approx(0.05, abs=0.002)
    assert clean.growth_needed() == 1


def test_the_redraws_of_a_blind_baseline_are_the_clean_splits() -> None:
    rng = np.random.default_rng(0)
    members = np.arange(80) % 2 == 0
    units = [f"{i:02d}" for i in range(80)]
    scores = Scores("blind", "utterance", "none", False, units, units, members, rng.normal(size=80))
    redrawn = rng.normal(0.5, 0.08, size=1000)
    unknown = evaluate_blind(scores, redrawn, np.zeros(1000), EvaluationSettings())
    assert unknown.clean_refused is None
    every = np.append(unknown.result.auroc, redrawn)
    p_values = np.array([np.mean(every >= auroc) for auroc in every])
    blind = evaluate_blind(scores, redrawn, np.zeros(1000), EvaluationSettings(), p_values)
    # The bound of each, as that of the observed AUROC: a refit that moves by 0.08 outweighs the drawing of units.
    bounds = redrawn + (blind.upper95 - blind.result.auroc)
    assert blind.clean_refused == pytest.approx(np.mean((p_values[1:] < 0.05) | (bounds > 0.6)), abs=0.01)
    assert blind.growth_needed > 2


def test_the_sentence_names_size_share_cause_and_remedy() -> None:
    assert size_sentences([SMALL]) == (
        "A clean split of this size (100 + 100 recordings of 20 speakers) is refused in 41 % of cases, because so few "
        "recordings leave its upper bound above 0.60; bring about 240 + 240 recordings of 47 speakers.",
    )
    assert is_often_refused([SMALL])
    assert "; a clean split of this size is refused in 41 % of cases" in refusal_clause(SMALL)


def test_a_split_that_is_large_enough_needs_no_remedy() -> None:
    large = BlindResult(RESULT, 0.55, clean_refused=0.051)
    assert size_sentences([large]) == (
        "A clean split of this size (100 + 100 recordings of 20 speakers) is refused in 5 % of cases.",
    )
    assert not is_often_refused([large])


def test_the_sentence_of_a_level_is_that_of_its_worst_baseline() -> None:
    speaker = replace(SMALL, result=replace(RESULT, level="speaker", n_members=12, n_nonmembers=12, n_speakers=24))
    better = replace(speaker, clean_refused=0.3, growth_needed=1.5)
    assert size_sentences([better, speaker, BlindResult(RESULT, 0.5)]) == (
        "A clean split of this size (12 + 12 speakers) is refused in 41 % of cases, because so few speakers leave its "
        "upper bound above 0.60; bring about 28 + 28 speakers.",
    )
    assert refusal_clause(BlindResult(RESULT, 0.65)) == ""
