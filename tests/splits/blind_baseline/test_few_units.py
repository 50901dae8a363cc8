"""Few units: a complete confound is found where the classifier alone finds nothing."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from lightning_mia.evaluation.blind_verdict import drawn_limit
from lightning_mia.splits import SpeakerDesign, Split
from lightning_mia.splits.blind_baseline.classifier import BlindBaseline, fit_blind_baseline
from lightning_mia.splits.blind_baseline.few_units import FEW_UNITS, count_redraws, largest_correlations

N_STATISTICS = 100


def draw(n_speakers: int, seed: int) -> Split:
    ids = [f"{speaker:02d}/{clip}" for speaker in range(n_speakers) for clip in range(4)]
    table = pd.DataFrame({"id": ids, "speaker": [name.split("/")[0] for name in ids]})
    return SpeakerDesign(n_speakers, 0, 2, 2).draw(table, {name: name for name in ids}, seed=seed)


def fit_baseline(split: Split, shift: float, seed: int, n_redraws: int = 1000) -> BlindBaseline:
    """Shift one of a hundred statistics of the members, in standard deviations."""
    challenge = split.challenge("speaker")
    noise = np.random.default_rng(seed).normal(size=(len(challenge), N_STATISTICS))
    noise[:, 7] += shift * challenge["member"].to_numpy()
    redraws = split.redraw(list(challenge["unit_id"].unique()), "speaker", n_redraws, seed)
    return fit_blind_baseline(pd.DataFrame(noise, index=challenge["id"]), challenge, redraws, "speaker")


@pytest.mark.parametrize(("n_speakers", "n_labellings"), [(12, 924), (14, 3432)])
def test_a_complete_confound_is_refused(n_speakers: int, n_labellings: int) -> None:
    n_redraws = count_redraws(n_speakers, 1000)
    for seed in range(3):
        confounded = fit_baseline(draw(n_speakers, seed), 10.0, seed, n_redraws)
        assert confounded.p_value < drawn_limit(n_labellings)


@pytest.mark.slow
def test_clean_splits_are_refused_as_often_as_the_limit_says() -> None:
    p_values = np.array([fit_baseline(draw(12, seed), 0.0, seed).p_value for seed in range(15)])
    assert (p_values < drawn_limit(924)).sum() <= 1  # 0.1 are expected
    assert 0.25 < p_values.mean() < 0.75


def test_the_p_value_equals_brute_force_over_all_labellings() -> None:
    split = draw(8, 0)
    challenge = split.challenge("speaker")
    speakers = list(challenge["unit_id"].unique())
    observed = challenge.drop_duplicates("unit_id")["member"].to_numpy()
    statistics = pd.DataFrame(np.random.default_rng(1).normal(size=(len(challenge), 5)), index=challenge["id"])

    every = np.array([[i in chosen for i in range(8)] for chosen in combinations(range(8), 4)])
    aurocs, correlations = [], []
    for labels in every:
        relabelled = challenge.assign(member=challenge["unit_id"].map(dict(zip(speakers, labels, strict=True))))
        alone = fit_blind_baseline(statistics, relabelled, labels[None], "speaker")
        aurocs.append(alone.aurocs[0])
        means = statistics.groupby(challenge["unit_id"].to_numpy(), sort=False).mean()
        correlations.append(max(abs(np.corrcoef(means[name], labels)[0, 1]) for name in means))
    standardised = [(row - np.mean(row)) / np.std(row) for row in (aurocs, correlations)]
    largest = np.max(standardised, axis=0)
    expected = np.mean(largest >= largest[(every == observed).all(axis=1)] - 1e-9)
    redraws = split.redraw(speakers, "speaker", 1000, seed=0)
    assert fit_blind_baseline(statistics, challenge, redraws, "speaker").p_value == pytest.approx(expected)


def test_correlations_agree_with_numpy() -> None:
    rng = np.random.default_rng(0)
    statistics = np.column_stack([rng.normal(size=(10, 4)), np.full(10, 0.1)])  # the last one is constant
    labels = rng.permuted(np.tile(np.arange(10) < 4, (5, 1)), axis=1)
    expected = [max(abs(np.corrcoef(statistics[:, i], row)[0, 1]) for i in range(4)) for row in labels]
    np.testing.assert_allclose(largest_correlations(statistics, labels), expected)
    assert largest_correlations(statistics, np.ones((1, 10), bool)) == 0
    assert largest_correlations(statistics[:, 4:], labels).tolist() == [0] * 5


def test_many_units_are_left_to_the_classifier() -> None:
    members = np.arange(FEW_UNITS + 2) % 2 == 0
    ids = [str(i) for i in range(len(members))]
    challenge = pd.DataFrame({"id": ids, "unit_id": ids, "speaker": ids, "member": members})
    statistics = pd.DataFrame({"level": np.random.default_rng(0).normal(size=len(ids))}, index=ids)
    redraws = np.random.default_rng(1).permuted(np.tile(members, (9, 1)), axis=1)
    assert fit_blind_baseline(statistics, challenge, redraws, "utterance").correlations is None
    fewer = challenge[2:]
    assert fit_blind_baseline(statistics, fewer, redraws[:, 2:], "utterance").correlations is not None
