from collections.abc import Callable
from statistics import fmean, median

import numpy as np
import pytest

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.calibrated_loss import CalibratedLoss
from lightning_mia.attacks.midpoint import MidPoint
from lightning_mia.attacks.scalar_signals.base import PretextScore
from lightning_mia.attacks.shadow_models.centres import fit_centres, in_and_out_moments
from lightning_mia.attacks.shadow_models.signal_matrix import signal_matrix


@pytest.mark.parametrize("level", ["utterance", "speaker"])
@pytest.mark.parametrize("n_shadows", [2, 5, 16])
@pytest.mark.parametrize("centre", ["mean", "median"])
def test_scores_equal_the_formula_in_loops(simulate: Callable, n_shadows: int, level: str, centre: str) -> None:
    evidence = simulate(20, 2 * (n_shadows // 2), level=level, clips=3).evidence
    matrix = signal_matrix(evidence, PretextScore())
    scores = MidPoint(centre=centre).score(evidence)
    average = fmean if centre == "mean" else median
    for place, unit in enumerate(matrix.units):
        models = list(zip(matrix.shadows[:, place, 0].tolist(), matrix.members[:, place].tolist(), strict=True))
        inside, outside = (average([x for x, member in models if member is label]) for label in (True, False))
        assert scores[unit] == pytest.approx(matrix.target[place, 0] - (inside + outside) / 2, abs=1e-9)


@pytest.mark.parametrize("n_shadows", [2, 8])
def test_offline_scores_estimate_both_centres_from_out_models(simulate: Callable, n_shadows: int) -> None:
    evidence = simulate(60, n_shadows, slope=0.5).evidence
    matrix = signal_matrix(evidence, PretextScore())
    fit = fit_centres(*in_and_out_moments(matrix.shadows[..., 0], matrix.members))
    scores = MidPoint(online=False).score(evidence)
    for place, unit in enumerate(matrix.units):
        own = matrix.shadows[~matrix.members[:, place], place, 0]
        deviation = (own.mean() - fit.out_mean) * fit.spread / (fit.spread + fit.noise / len(own))
        midpoint = (fit.out_mean + deviation + fit.in_mean + fit.slope * deviation) / 2
        assert scores[unit] == pytest.approx(matrix.target[place, 0] - midpoint)


def test_offline_scores_do_not_read_in_models_of_the_unit(simulate: Callable) -> None:
    audit = simulate(40, 8, pool=True)
    scores = MidPoint(online=False).score(audit.evidence)
    assert scores.notna().all()
    with pytest.raises(CannotRun, match="IN for the challenge units"):
        MidPoint().score(audit.evidence)


@pytest.mark.parametrize("slope", [0.0, 0.5])
@pytest.mark.parametrize("pool", [False, True])
def test_offline_regression_beats_the_out_centre(simulate: Callable, auroc: Callable, slope: float, pool: bool) -> None:
    gains = []
    for seed in range(3):
        audit = simulate(600, 8, effect=1.5, slope=slope, spread=1.0, pool=pool, seed=seed)
        ours, out_only = (attack.score(audit.evidence) for attack in (MidPoint(online=False), CalibratedLoss()))
        gains.append(auroc(ours, audit.members) - auroc(out_only, audit.members))
    assert np.mean(gains) > 0.01


def test_median_is_robust_to_a_failed_shadow_model(simulate: Callable, auroc: Callable) -> None:
    audit = simulate(400, 16, effect=2.0, seed=1)
    scalars = audit.evidence.shadows.signals[3].scalars
    rng = np.random.default_rng(0)
    scalars.iloc[:, 0] += 50 * (rng.random(len(scalars)) < 0.2) * rng.standard_normal(len(scalars))
    mean, robust = (
        auroc(MidPoint(centre=centre).score(audit.evidence), audit.members) for centre in ("mean", "median")
    )
    assert robust > mean + 0.01


def test_sign_of_a_signal_is_learned(simulate: Callable, planted_signal: Callable, auroc: Callable) -> None:
    audit = simulate(200, 8, effect=-2.0)
    for online in (True, False):
        attack = MidPoint(planted_signal(["pretext_score_mask0"], two_sided=True), online)
        assert auroc(attack.score(audit.evidence), audit.members) > 0.8


def test_names() -> None:
    attacks = [MidPoint(), MidPoint(online=False), MidPoint(centre="median"), MidPoint(online=False, centre="median")]
    assert [attack.name for attack in attacks] == [
        "midpoint",
        "midpoint_offline",
        "midpoint_median",
        "midpoint_offline_median",
    ]
