from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lightning_mia.attacks.base import CannotRun, ShadowModels
from lightning_mia.attacks.scalar_signals.base import PretextScore
from lightning_mia.attacks.scalar_signals.pretext import TaskScore
from lightning_mia.attacks.shadow_models.signal_matrix import MatrixReader, signal_matrix

COLUMNS = ("planted_a", "planted_b")


def slow_standardise(numbers: dict[str, float], challenge: list[str]) -> dict[str, float]:
    """Centre by the median and scale by the interquartile range over the challenge set."""
    values = sorted(numbers[name] for name in challenge)
    low, middle, high = (float(np.quantile(values, q)) for q in (0.25, 0.5, 0.75))
    return {name: (value - middle) / (high - low) for name, value in numbers.items()}


@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_models_are_standardised_separately_and_averaged_by_unit(
    simulate: Callable, planted_signal: Callable, level: str
) -> None:
    evidence = simulate(20, 4, columns=COLUMNS, level=level, clips=3, n_auxiliary=7).evidence
    evidence = replace(evidence, challenge=evidence.challenge.sample(frac=1, random_state=1))
    matrix = signal_matrix(evidence, planted_signal(COLUMNS))
    rows, auxiliary = evidence.challenge, list(evidence.auxiliary["id"])
    for place, column in enumerate(COLUMNS):
        for k, model in enumerate([evidence.target, *evidence.shadows.signals]):
            own = slow_standardise(model.scalars[column].to_dict(), list(rows["id"]))
            values = (matrix.target if k == 0 else matrix.shadows[k - 1])[:, place]
            for unit, value in zip(matrix.units, values, strict=True):
                recordings = rows["id"][rows["unit_id"] == unit]
                assert len(recordings) == (3 if level == "speaker" else 1)
                assert value == pytest.approx(np.mean([own[name] for name in recordings]), abs=1e-12)
            auxiliary_values = (matrix.auxiliary_target if k == 0 else matrix.auxiliary_shadows[k - 1])[:, place]
            assert np.allclose(auxiliary_values, [own[name] for name in auxiliary], rtol=0, atol=1e-12)


@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_members_are_those_of_the_units(simulate: Callable, level: str) -> None:
    evidence = simulate(10, 6, level=level, clips=2).evidence
    matrix = signal_matrix(evidence, PretextScore())
    first = evidence.challenge.drop_duplicates("unit_id").set_index("unit_id")["id"]
    for k, name in enumerate(evidence.shadows.members):
        for place, unit in enumerate(matrix.units):
            assert matrix.members[k, place] == evidence.shadows.members.loc[first[unit], name]
    assert list(matrix.pairs) == [0, 0, 1, 1, 2, 2]
    assert matrix.learning_shadows is matrix.shadows and matrix.learning_members is matrix.members


def test_shadow_models_from_a_pool_are_out_and_learn_from_the_pool(simulate: Callable) -> None:
    evidence = simulate(20, 4, level="speaker", clips=3, pool=True, effect=100.0).evidence
    matrix = signal_matrix(evidence, PretextScore())
    assert not matrix.members.any()
    assert matrix.learning_shadows.shape == (4, 20, 1)
    inside = matrix.learning_shadows[..., 0][matrix.learning_members]
    assert inside.min() > matrix.learning_shadows[..., 0][~matrix.learning_members].max()


@pytest.mark.parametrize("n_auxiliary", [19, 20])
def test_pool_is_standardised_by_auxiliary_recordings(simulate: Callable, n_auxiliary: int) -> None:
    fleet = simulate(40, 2, pool=True, effect=10.0, noise=0.0, n_auxiliary=n_auxiliary)
    matrix = signal_matrix(fleet.evidence, PretextScore())
    difference = (matrix.target - matrix.shadows[0])[:, 0]
    agree = np.abs(difference[~fleet.members.loc[matrix.units].to_numpy()]) < 1e-9
    assert agree.all() == (n_auxiliary == 20)


def test_constant_signal_is_not_divided_by_zero(simulate: Callable) -> None:
    evidence = simulate(10, 2, spread=0, noise=0, effect=0).evidence
    matrix = signal_matrix(evidence, PretextScore())
    assert not matrix.target.any() and not matrix.shadows.any()


def test_missing_shadow_models_raise(simulate: Callable) -> None:
    evidence = simulate(10, 2).evidence
    empty = evidence.shadows.without_pair_of(0)
    for shadows in (None, empty):
        with pytest.raises(CannotRun, match="it needs shadow models"):
            signal_matrix(replace(evidence, shadows=shadows), PretextScore())


def test_number_that_is_not_finite_is_named(simulate: Callable) -> None:
    evidence = simulate(10, 4).evidence
    broken = evidence.shadows.signals[2]
    broken.scalars.iloc[3] = np.nan
    shadows = ShadowModels(
        [*evidence.shadows.signals[:2], broken, evidence.shadows.signals[3]], evidence.shadows.members
    )
    with pytest.raises(CannotRun, match=r"pretext_score of shadow_002 is not finite for s003/0$"):
        signal_matrix(replace(evidence, shadows=shadows), PretextScore())


def test_consecutive_reads_of_one_signal_and_evidence_share_a_matrix(simulate: Callable) -> None:
    evidence, read = simulate(20, 4, columns=COLUMNS).evidence, MatrixReader()
    signals = TaskScore("planted_a"), TaskScore("planted_a"), TaskScore("planted_b")
    first, again, other = (read(evidence, signal) for signal in signals)
    assert again is first
    assert not np.array_equal(other.target, first.target)
    np.testing.assert_array_equal(read(evidence, signals[0]).target, first.target)
    fewer = replace(evidence, shadows=evidence.shadows.take(np.arange(2)))
    assert len(read(fewer, signals[0]).shadows) == 2
