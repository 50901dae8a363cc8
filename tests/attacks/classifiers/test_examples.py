from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import PolynomialFeatures

from lightning_mia.attacks.base import CannotRun, Evidence, ShadowModels
from lightning_mia.attacks.classifiers.examples import ShadowExamples, read_columns, read_jointly, shadow_examples
from lightning_mia.evaluation.statistics.auroc import auroc_of_labels
from lightning_mia.signals.table import Signals
from lightning_mia.splits.sampling.membership import draw_models

COLUMNS = ["views_pair00", "views_pair01", "views_pair02"]
read = read_columns("views_.*")


def fleet(n_shadows: int, n_units: int, seed: int, shift: float = 0.0, each: int = 1) -> tuple[Evidence, np.ndarray]:
    """Signals of `each` recordings a unit: a unit's own level, noise, `shift` where it is IN; and the target's labels.

    Every model has its own scale and offset.
    """
    rng = np.random.default_rng(seed)
    units = np.array([f"u{number:04d}" for number in range(n_units)])
    models = draw_models(np.zeros(n_units, dtype=int), n_shadows, seed)
    own = 2 * rng.standard_normal((n_units, 1, len(COLUMNS)))
    ids = [f"{unit}/{take}" if each > 1 else unit for unit in units for take in range(each)]

    def answers(members: np.ndarray) -> Signals:
        values = own + rng.standard_normal((n_units, each, len(COLUMNS))) + shift * members[:, None, None]
        values = rng.uniform(-5, 5) + rng.uniform(0.5, 2) * values.reshape(n_units * each, -1)
        table = pd.DataFrame(values, index=ids, columns=COLUMNS).assign(pretext_score=0.0)
        return Signals(table, np.zeros((len(ids), 1, 1)))

    target, *shadows = [answers(members) for members in models.values()]
    members = pd.DataFrame({name: np.repeat(labels, each) for name, labels in models.items()}, index=ids)
    challenge = pd.DataFrame({"id": ids, "unit_id": np.repeat(units, each), "speaker": np.repeat(units, each)})
    evidence = Evidence(target, challenge, shadows=ShadowModels(shadows, members.drop(columns="target")))
    return evidence, models["target"]


def slow_calibration(values: np.ndarray, labels: np.ndarray, shadow: int) -> np.ndarray:
    """A shadow model's examples minus the mean of the OUT models of other pairs, number by number."""
    calibrated = np.empty_like(values[shadow])
    for unit in range(values.shape[1]):
        others = [k for k in range(len(values)) if k // 2 != shadow // 2 and not labels[k, unit]]
        calibrated[unit] = values[shadow, unit] - values[others, unit].mean(axis=0)
    return calibrated


def standard(values: np.ndarray) -> np.ndarray:
    low, centre, high = np.percentile(values, [25, 50, 75], axis=0)
    return (values - centre) / (high - low)


def test_calibration_equals_a_slow_one_and_the_targets_is_by_all_shadows() -> None:
    evidence, _ = fleet(8, 50, seed=0)
    plain, calibrated = shadow_examples(evidence, read), shadow_examples(evidence, read, calibrated=True)
    assert plain.columns == COLUMNS and list(plain.units) == list(evidence.challenge["unit_id"])
    for k in range(8):
        raw = evidence.shadows.signals[k].scalars[COLUMNS].to_numpy()
        np.testing.assert_allclose(plain.features[k], standard(raw))
        slow = slow_calibration(plain.features, plain.labels, k)
        np.testing.assert_allclose(calibrated.features[k], standard(slow))
    out = [
        np.mean([plain.features[k, u] for k in range(8) if not plain.labels[k, u]], axis=0)
        for u in range(len(plain.units))
    ]
    np.testing.assert_allclose(calibrated.target, standard(plain.target - np.array(out)))
    assert (plain.labels == evidence.shadows.members.to_numpy().T).all()


Learner = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def by_quadratics(features: np.ndarray, labels: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Sees spreads too, which is where a calibration that leaves out too little shows."""
    expand = PolynomialFeatures(2)
    return (
        LogisticRegression(C=1e3, max_iter=500)
        .fit(expand.fit_transform(features), labels)
        .decision_function(expand.transform(judged))
    )


def by_neighbours(features: np.ndarray, labels: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Learns its examples by heart."""
    return KNeighborsClassifier(5).fit(features, labels).predict_proba(judged)[:, 1]


def both(evidence: Evidence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Plain and calibrated numbers together: examples, labels, and what is judged."""
    plain, calibrated = shadow_examples(evidence, read), shadow_examples(evidence, read, calibrated=True)
    features = np.concatenate([plain.features, calibrated.features], axis=2)
    target = np.concatenate([plain.target, calibrated.target], axis=1)
    return features.reshape(-1, features.shape[2]), plain.labels.ravel(), target


@pytest.mark.slow
@pytest.mark.parametrize("learn", [by_quadratics, by_neighbours])
@pytest.mark.parametrize("n_shadows", [4, 8, 16])
def test_on_noise_nothing_is_learned_about_the_target_nor_about_a_shadow_model_in_its_place(
    n_shadows: int, learn: Learner
) -> None:
    """Over 16 fleets of 60 units the mean AUROC has a standard error of .019."""
    of_target, in_turn = [], []
    for seed in range(16):
        evidence, members = fleet(n_shadows, 60, seed)
        of_target.append(auroc_of_labels(learn(*both(evidence)), members[None])[0])
        place = seed % n_shadows
        others = evidence.shadows.without_pair_of(place)
        if len(others) >= 4:
            turned = replace(evidence, target=evidence.shadows.signals[place], shadows=others)
            labels = evidence.shadows.members.iloc[:, place].to_numpy()
            in_turn.append(auroc_of_labels(learn(*both(turned)), labels[None])[0])
    assert abs(np.mean(of_target) - 0.5) < 0.06
    assert not in_turn or abs(np.mean(in_turn) - 0.5) < 0.06


def test_spread_of_calibrated_noise_does_not_tell_in_from_out() -> None:
    evidence, _ = fleet(4, 4000, seed=1)
    examples = shadow_examples(evidence, read, calibrated=True)
    spread_in = examples.features[examples.labels].std(axis=0)
    spread_out = examples.features[~examples.labels].std(axis=0)
    np.testing.assert_allclose(spread_in, spread_out, rtol=0.04)  # without the partner in the mean: 22 % apart
    np.testing.assert_allclose(examples.target.std(axis=0), spread_out, rtol=0.06)


def test_a_planted_shift_is_learned_and_calibration_helps() -> None:
    def auroc(calibrated: bool) -> float:
        evidence, members = fleet(8, 300, seed=3, shift=1.0)
        examples: ShadowExamples = shadow_examples(evidence, read, calibrated)
        fitted = LogisticRegression().fit(examples.features.reshape(-1, 3), examples.labels.ravel())
        return auroc_of_labels(fitted.decision_function(examples.target), members[None])[0]

    assert 0.55 < auroc(calibrated=False) < 0.8
    assert auroc(calibrated=True) > 0.82


def test_units_of_several_recordings_have_their_mean() -> None:
    evidence, _ = fleet(4, 20, seed=0, each=3)
    examples = shadow_examples(evidence, read)
    assert examples.features.shape == (4, 20, 3) and examples.target.shape == (20, 3)
    raw = evidence.shadows.signals[2].scalars[COLUMNS].to_numpy().reshape(20, 3, 3).mean(axis=1)
    np.testing.assert_allclose(examples.features[2], standard(raw))
    assert (examples.labels[2] == evidence.shadows.members["shadow_002"].to_numpy()[::3]).all()


def pool_fleet(seed: int, shift: float) -> tuple[Evidence, np.ndarray]:
    """The first half of the units is the pool that the fleet was trained on, the second half the challenge set."""
    evidence, members = fleet(8, 400, seed, shift)
    recordings = evidence.challenge
    rng = np.random.default_rng(seed)
    signals = []
    for one in evidence.shadows.signals:  # of the challenge set, all shadow models know nothing
        table = one.scalars.copy()
        table.iloc[200:] = evidence.target.scalars.iloc[200:].to_numpy() - shift * members[200:, None]
        table.iloc[200:] += rng.standard_normal((200, table.shape[1]))
        signals.append(replace(one, scalars=table))
    shadows = ShadowModels(signals, evidence.shadows.members.iloc[:200], pool=recordings.iloc[:200])
    return replace(evidence, challenge=recordings.iloc[200:], shadows=shadows), members[200:]


def test_a_fleet_that_never_saw_the_challenge_set_teaches_by_its_pool() -> None:
    evidence, members = pool_fleet(seed=0, shift=2.0)
    examples = shadow_examples(evidence, read, calibrated=True)
    assert examples.features.shape == (8, 200, 3) and list(examples.units) == list(evidence.challenge["unit_id"])
    assert set(examples.example_units).isdisjoint(examples.units)
    np.testing.assert_allclose(np.median(examples.target, axis=0), 0, atol=1e-12)
    assert auroc_of_labels(examples.target.mean(axis=1), members[None])[0] > 0.9


def test_columns_that_cannot_be_used_are_left_out() -> None:
    evidence, _ = fleet(4, 20, seed=0)
    evidence.target.scalars.insert(0, "views_of_the_target_alone", np.arange(20.0))
    evidence.shadows.signals[1].scalars.loc["u0003", "views_pair00"] = np.nan
    evidence.shadows.signals[3].scalars["views_pair02"] = 7.0
    assert shadow_examples(evidence, read).columns == ["views_pair01"]
    jointly = read_jointly(read, read_columns("pretext_.*"))(evidence.target, evidence.challenge)
    assert list(jointly) == [*evidence.target.scalars]
    with pytest.raises(CannotRun, match="signals that every model gives"):
        shadow_examples(evidence, read_columns("nothing_of_this_name"))


def test_half_of_the_values_alike_do_not_blow_up() -> None:
    evidence, _ = fleet(4, 40, seed=0)
    for one in (evidence.target, *evidence.shadows.signals):
        one.scalars["views_pair00"] = np.where(np.arange(40) < 2, 1.0, 0.0)
    assert np.abs(shadow_examples(evidence, read).features).max() < 10


def test_too_few_shadow_models() -> None:
    evidence, _ = fleet(2, 20, seed=0)
    assert shadow_examples(evidence, read).features.shape == (2, 20, 3)
    with pytest.raises(CannotRun, match="needs two complementary pairs of shadow models to calibrate, and has 1"):
        shadow_examples(evidence, read, calibrated=True)
    with pytest.raises(CannotRun, match="needs shadow models"):
        shadow_examples(replace(evidence, shadows=None), read)
    odd, _ = fleet(5, 20, seed=0)
    assert list(shadow_examples(odd, read, calibrated=True).pairs) == [0, 0, 1, 1]
