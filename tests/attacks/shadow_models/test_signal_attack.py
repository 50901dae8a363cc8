"""Signal attacks on simulated signals: optimality, few shadow models, noise."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from lightning_mia.attacks.attack_r import AttackR
from lightning_mia.attacks.base import CannotRun, ShadowModels
from lightning_mia.attacks.bavaria import BaVarIA
from lightning_mia.attacks.calibrated_loss import CalibratedLoss
from lightning_mia.attacks.lira import LiRA
from lightning_mia.attacks.midpoint import MidPoint
from lightning_mia.attacks.rmia import RMIA
from lightning_mia.attacks.scalar_signals.base import DEFAULT_SIGNAL, PretextScore, ScalarSignal
from lightning_mia.attacks.shadow_models.signal_attack import SignalAttack
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix, signal_matrix


def every_attack(signal: ScalarSignal = DEFAULT_SIGNAL) -> list[SignalAttack]:
    return [
        LiRA(signal),
        LiRA(signal, online=False),
        RMIA(signal),
        RMIA(signal, online=False),
        BaVarIA(signal),
        BaVarIA(signal, online=False),
        MidPoint(signal),
        MidPoint(signal, online=False),
        AttackR(signal),
        CalibratedLoss(signal),
    ]


def aurocs(matrix: SignalMatrix, attacks: Sequence[SignalAttack], members: pd.Series, auroc: Callable) -> pd.Series:
    """Compute the AUROC of every attack that can run."""
    result = {}
    for attack in attacks:
        if matrix.members.shape[0] >= attack.min_shadows:
            result[attack.name] = auroc(pd.Series(attack.compare(matrix), index=matrix.units), members)
    return pd.Series(result)


def mean_and_error(rows: Sequence[pd.Series]) -> tuple[pd.Series, pd.Series]:
    table = pd.DataFrame(rows)
    return table.mean(), table.std() / np.sqrt(len(table))


@pytest.mark.slow
def test_lira_approaches_the_neyman_pearson_auroc(simulate: Callable, auroc: Callable) -> None:
    """The optimal score uses the true difficulty of every unit; its AUROC is Φ(effect / (noise √2))."""
    gaps = {}
    for n_shadows in (2, 4, 8, 16, 64):
        audits = [simulate(1000, n_shadows, effect=1.5, seed=seed) for seed in range(5)]
        best = [auroc(audit.ideal, audit.members) for audit in audits]
        assert np.mean(best) == pytest.approx(ndtr(1.5 / np.sqrt(2)), abs=0.02)
        matrices = [signal_matrix(audit.evidence, PretextScore()) for audit in audits]
        rows = [
            aurocs(matrix, every_attack(), audit.members, auroc) for matrix, audit in zip(matrices, audits, strict=True)
        ]
        gaps[n_shadows] = np.mean(best) - pd.DataFrame(rows).mean()
    table = pd.DataFrame(gaps).loc[["lira", "lira_offline", "bavaria", "bavaria_offline"]]
    assert (table.diff(axis=1).fillna(0) < 0).iloc[:, 2:].all(axis=None)  # smaller with every doubling
    assert (table.fillna(1) > -0.001).all(axis=None)
    assert table.loc["lira", 4] > 0.05 and (table[64] < 0.01).all()
    assert table.loc["bavaria", 64] < 0.005


@pytest.mark.slow
@pytest.mark.parametrize("n_shadows", [2, 4, 8])
def test_bavaria_is_best_with_few_shadow_models(simulate: Callable, auroc: Callable, n_shadows: int) -> None:
    """No attack is significantly better over 10 paired audits; those that suffer from few shadow models are worse."""
    rows = []
    for seed in range(10):
        audit = simulate(900, n_shadows, effect=1.0, seed=seed)
        rows.append(aurocs(signal_matrix(audit.evidence, PretextScore()), every_attack(), audit.members, auroc))
    ahead = pd.DataFrame([row["bavaria"] - row.drop("bavaria") for row in rows])
    error = ahead.std() / np.sqrt(len(ahead))
    assert (ahead.mean() > -2 * error).all()
    for name in ("lira", "lira_offline", "bavaria_offline", "attack_r", "calibrated_loss"):
        if name in ahead:
            assert ahead[name].mean() > 3 * error[name], name


@pytest.mark.slow
@pytest.mark.parametrize("n_shadows", [4, 8, 16])
def test_auroc_on_noise_is_chance(
    simulate: Callable, planted_signal: Callable, auroc: Callable, n_shadows: int
) -> None:
    """Signs, directions and `a` learned from noise reveal nothing about the target."""
    columns = ["planted_a", "planted_b", "planted_c"]
    signals = [PretextScore(), planted_signal(columns[:1], two_sided=True), planted_signal(columns)]
    rows: list[list[pd.Series]] = [[], [], []]
    for seed in range(10):
        audit = simulate(1200, n_shadows, columns=["pretext_score_mask0", *columns], effect=0.0, seed=seed)
        for place, signal in enumerate(signals):
            matrix = signal_matrix(audit.evidence, signal)
            rows[place].append(aurocs(matrix, every_attack(signal), audit.members, auroc))
    for signal_rows in rows:
        mean, _ = mean_and_error(signal_rows)
        assert len(mean) == 10
        assert (mean - 0.5).abs().max() < 4 * error_of_noise(1200, n_audits=10)  # .021


def error_of_noise(n_units: int, n_audits: int) -> float:
    """Return the standard error of the mean AUROC of random scores; half of the units are members."""
    return float(np.sqrt((n_units + 1) / (3 * n_units**2) / n_audits))


def each_as_target(matrix: SignalMatrix, keep_partner: bool) -> Iterator[tuple[SignalMatrix, np.ndarray]]:
    """Yield each shadow model as target, without its pair or, wrongly, with its partner kept."""
    for k in range(len(matrix.pairs)):
        others = np.arange(len(matrix.pairs)) != k if keep_partner else matrix.pairs != matrix.pairs[k]
        shadows, members = matrix.shadows[others], matrix.members[others]
        yield (
            replace(
                matrix,
                target=matrix.shadows[k],
                shadows=shadows,
                members=members,
                auxiliary_target=matrix.auxiliary_shadows[k],
                auxiliary_shadows=matrix.auxiliary_shadows[others],
                pairs=matrix.pairs[others],
                learning_shadows=shadows,
                learning_members=members,
            ),
            matrix.members[k],
        )


@pytest.mark.slow
@pytest.mark.parametrize("keep_partner", [False, True], ids=["pair left out", "partner kept"])
def test_auroc_on_noise_is_chance_for_shadow_models_as_targets(
    simulate: Callable, auroc: Callable, keep_partner: bool
) -> None:
    """With the partner kept, the number of IN models of a unit reveals its membership in the target."""
    rows = []
    for seed in range(10):
        matrix = signal_matrix(simulate(600, 6, effect=0.0, seed=seed).evidence, PretextScore())
        for part, labels in each_as_target(matrix, keep_partner):
            rows.append(aurocs(part, every_attack(), pd.Series(labels, index=part.units), auroc))
    mean, _ = mean_and_error(rows)
    n_audits = 30  # ten audits of three pairs, whose two models have complementary labels
    assert ((mean - 0.5).abs().max() < 4 * error_of_noise(600, n_audits)) != keep_partner


@pytest.mark.slow
@pytest.mark.parametrize("n_shadows", [2, 4])
def test_auroc_on_noise_is_chance_with_a_pool(
    simulate: Callable, planted_signal: Callable, auroc: Callable, n_shadows: int
) -> None:
    signal = planted_signal(["pretext_score_mask0"], two_sided=True)
    offline = [attack for attack in every_attack(signal) if attack.name not in ("lira", "rmia", "bavaria", "midpoint")]
    rows = []
    for seed in range(13):
        audit = simulate(600, n_shadows, effect=0.0, pool=True, seed=seed)
        matrix = signal_matrix(audit.evidence, signal)
        rows.append(aurocs(matrix, [attack for attack in offline if _can_run(attack, matrix)], audit.members, auroc))
    mean, _ = mean_and_error(rows)
    names = ("lira_offline", "rmia_offline", "bavaria_offline", "midpoint_offline", "attack_r", "calibrated_loss")
    assert list(mean.index) == [f"{name}_planted" for name in names]
    assert (mean - 0.5).abs().max() < 4 * error_of_noise(600, n_audits=13)


def _can_run(attack: SignalAttack, matrix: SignalMatrix) -> bool:
    try:
        attack.compare(matrix)
    except CannotRun:
        return False
    return True


def test_each_as_target_equals_without_pair_of(simulate: Callable) -> None:
    """Slicing the matrix equals `ShadowModels.without_pair_of`."""
    evidence = simulate(30, 6).evidence
    shadows: ShadowModels = evidence.shadows
    matrix = signal_matrix(evidence, PretextScore())
    for k, (part, _) in enumerate(each_as_target(matrix, keep_partner=False)):
        as_target = replace(evidence, target=shadows.signals[k], shadows=shadows.without_pair_of(k))
        expected = signal_matrix(as_target, PretextScore())
        for name, value in vars(part).items():
            assert np.array_equal(value, getattr(expected, name)), name
