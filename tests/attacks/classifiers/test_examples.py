from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks.base import CannotRun, Evidence, ShadowModels
from lightning_mia.attacks.classifiers.examples import read_columns, shadow_examples
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.signals.table import Signals
from lightning_mia.splits.sampling.membership import draw_models

COLUMNS = ["views_pair00", "views_pair01", "views_pair02"]
read = read_columns("views_.*")


def fleet(n_shadows: int, n_units: int, seed: int, shift: float = 0.0, each: int = 1) -> tuple[Evidence, np.ndarray]:
    """Draw signals: a level for each unit, noise, and `shift` for IN units; return them with the target's labels.

    Every model has its own scale and offset.
    """
    rng = np.random.default_rng(seed)
    units = np.array([f"u{number:04d}" for number in range(n_units)])
    models = draw_models(np.zeros(n_units, dtype=int), n_shadows, seed)
    own = 2 * rng.standard_normal((n_units, 1, len(COLUMNS)))
    ids = [f"{unit}/{take}" if each > 1 else unit for unit in units for take in range(each)]

    def signals(members: np.ndarray) -> Signals:
        values = own + rng.standard_normal((n_units, each, len(COLUMNS))) + shift * members[:, None, None]
        values = rng.uniform(-5, 5) + rng.uniform(0.5, 2) * values.reshape(n_units * each, -1)
        table = pd.DataFrame(values, index=ids, columns=COLUMNS).assign(pretext_score=0.0)
        return Signals(table, np.zeros((len(ids), 1, 1)))

    target, *shadows = [signals(members) for members in models.values()]
    members = pd.DataFrame({name: np.repeat(labels, each) for name, labels in models.items()}, index=ids)
    challenge = pd.DataFrame({"id": ids, "unit_id": np.repeat(units, each), "speaker": np.repeat(units, each)})
    evidence = Evidence(target, challenge, shadows=ShadowModels(shadows, members.drop(columns="target")))
    return evidence, models["target"]


def standard(values: np.ndarray) -> np.ndarray:
    low, centre, high = np.percentile(values, [25, 50, 75], axis=0)
    return (values - centre) / (high - low)


def test_features_are_standardised_for_each_model() -> None:
    evidence, _ = fleet(8, 50, seed=0)
    examples = shadow_examples(evidence, read)
    assert examples.columns == COLUMNS and list(examples.units) == list(evidence.challenge["unit_id"])
    for k in range(8):
        np.testing.assert_allclose(
            examples.features[k], standard(evidence.shadows.signals[k].scalars[COLUMNS].to_numpy())
        )
    assert (examples.labels == evidence.shadows.members.to_numpy().T).all()


def test_units_average_their_recordings() -> None:
    evidence, _ = fleet(4, 20, seed=0, each=3)
    examples = shadow_examples(evidence, read)
    assert examples.features.shape == (4, 20, 3) and examples.target.shape == (20, 3)
    raw = evidence.shadows.signals[2].scalars[COLUMNS].to_numpy().reshape(20, 3, 3).mean(axis=1)
    np.testing.assert_allclose(examples.features[2], standard(raw))
    assert (examples.labels[2] == evidence.shadows.members["shadow_002"].to_numpy()[::3]).all()


def pool_fleet(seed: int, shift: float) -> tuple[Evidence, np.ndarray]:
    """Make the first half of the units the pool of the shadow models, and the second half the challenge set."""
    evidence, members = fleet(8, 400, seed, shift)
    recordings = evidence.challenge
    rng = np.random.default_rng(seed)
    signals = []
    for shadow in evidence.shadows.signals:  # no shadow model is trained on the challenge set
        table = shadow.scalars.copy()
        table.iloc[200:] = evidence.target.scalars.iloc[200:].to_numpy() - shift * members[200:, None]
        table.iloc[200:] += rng.standard_normal((200, table.shape[1]))
        signals.append(replace(shadow, scalars=table))
    shadows = ShadowModels(signals, evidence.shadows.members.iloc[:200], pool=recordings.iloc[:200])
    return replace(evidence, challenge=recordings.iloc[200:], shadows=shadows), members[200:]


def test_training_units_come_from_the_pool() -> None:
    evidence, members = pool_fleet(seed=0, shift=2.0)
    examples = shadow_examples(evidence, read)
    assert examples.features.shape == (8, 200, 3) and list(examples.units) == list(evidence.challenge["unit_id"])
    assert set(examples.example_units).isdisjoint(examples.units)
    np.testing.assert_allclose(np.median(examples.target, axis=0), 0, atol=1e-12)
    calibrated = examples.target - examples.challenge.mean(axis=0)
    assert labelled_aurocs(calibrated.mean(axis=1), members[None])[0] > 0.9


def test_unusable_columns_are_dropped() -> None:
    evidence, _ = fleet(4, 20, seed=0)
    evidence.target.scalars.insert(0, "views_of_the_target_alone", np.arange(20.0))
    evidence.shadows.signals[1].scalars.loc["u0003", "views_pair00"] = np.nan
    evidence.shadows.signals[3].scalars["views_pair02"] = 7.0
    assert shadow_examples(evidence, read).columns == ["views_pair01"]
    with pytest.raises(CannotRun, match="signals that every model provides"):
        shadow_examples(evidence, read_columns("no_such_column"))


def test_many_equal_values_do_not_inflate_the_scale() -> None:
    evidence, _ = fleet(4, 40, seed=0)
    for signals in (evidence.target, *evidence.shadows.signals):
        signals.scalars["views_pair00"] = np.where(np.arange(40) < 2, 1.0, 0.0)
    assert np.abs(shadow_examples(evidence, read).features).max() < 10


def test_minimum_of_shadow_models() -> None:
    evidence, _ = fleet(2, 20, seed=0)
    assert shadow_examples(evidence, read).features.shape == (2, 20, 3)
    with pytest.raises(CannotRun, match="needs shadow models"):
        shadow_examples(replace(evidence, shadows=None), read)
