from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import zscore

from lightning_mia.attacks import (
    Attack,
    BaVarIA,
    CalibratedLoss,
    CTCLoss,
    Evidence,
    LiRA,
    MidPoint,
    PretextLoss,
    Relearn,
    ScoreFusion,
    SpeakerLiRA,
    UtteranceSimilarity,
)
from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.runner.simulation import simulate_audit
from lightning_mia.signals.relearning import DEFAULT_RELEARNING
from lightning_mia.utilities.errors import InputError


class Reversed(MidPoint):
    """The same scores, units in the reverse order."""

    base_name = "reversed"

    def score(self, evidence: Evidence) -> pd.Series:
        return super().score(evidence).iloc[::-1]


def test_scores_are_standardised_and_added() -> None:
    evidence = simulate_audit(n_units=30, n_shadows=4).evidence
    parts = [attack.score(evidence) for attack in (BaVarIA(), CalibratedLoss())]
    fused = ScoreFusion([BaVarIA(), CalibratedLoss()]).score(evidence)
    np.testing.assert_allclose(fused.loc[parts[0].index], zscore(parts[0]) + zscore(parts[1].loc[parts[0].index]))


def test_scores_are_joined_by_unit() -> None:
    evidence = simulate_audit(n_units=30, n_shadows=4).evidence
    pd.testing.assert_series_equal(
        ScoreFusion([BaVarIA(), Reversed()]).score(evidence), ScoreFusion([BaVarIA(), MidPoint()]).score(evidence)
    )


def test_the_scale_of_an_attack_does_not_count() -> None:
    evidence = simulate_audit(n_units=30, n_shadows=4).evidence

    class Louder(CalibratedLoss):
        base_name = "louder"

        def score(self, evidence: Evidence) -> pd.Series:
            return 1000 * super().score(evidence) - 5

    fused = [ScoreFusion([BaVarIA(), other]).score(evidence) for other in (CalibratedLoss(), Louder())]
    np.testing.assert_allclose(*fused)


def test_an_attack_that_says_the_same_of_all_leaves_the_order_of_the_other() -> None:
    class Constant(PretextLoss):
        base_name = "constant"

        def score(self, evidence: Evidence) -> pd.Series:
            return 0 * super().score(evidence)

    evidence = simulate_audit(n_units=30, n_shadows=4).evidence
    fused, alone = ScoreFusion([BaVarIA(), Constant()]).score(evidence), BaVarIA().score(evidence)
    assert fused.rank().equals(alone.rank())


def test_independent_errors_average_out(auroc: Callable) -> None:
    """Relearning and shadow models each see the membership with errors of their own."""
    columns = ["pretext_score_mask0", *DEFAULT_RELEARNING.columns]
    gains = []
    for seed in range(3):
        audit = simulate_audit(600, 8, columns=columns, effect=[1.0, 1.0, 0.0], spread=1.0, seed=seed)
        parts = [auroc(attack.score(audit.evidence), audit.members) for attack in (Relearn(), MidPoint())]
        gains.append(auroc(ScoreFusion().score(audit.evidence), audit.members) - max(parts))
    assert np.mean(gains) > 0.01


def test_without_leak_there_is_nothing_to_find(auroc: Callable) -> None:
    columns = ["pretext_score_mask0", *DEFAULT_RELEARNING.columns]
    aurocs = []
    for seed in range(10):
        audit = simulate_audit(400, 8, columns=columns, effect=0.0, seed=seed)
        aurocs.append(auroc(ScoreFusion().score(audit.evidence), audit.members))
    assert abs(np.mean(aurocs) - 0.5) < 4 * 0.029 / np.sqrt(10)  # standard error of an AUROC of 200 + 200


def test_what_the_parts_need_is_needed() -> None:
    fusion = ScoreFusion()
    assert (fusion.name, fusion.access, fusion.min_shadows) == ("fusion_relearn_midpoint", "white-box", 2)
    assert fusion.levels == ("utterance", "speaker")
    assert fusion.needs_signal == "pretext_score"
    assert fusion.groups == Relearn().groups
    assert ScoreFusion([LiRA(), PretextLoss()]).access == "grey-box"
    with pytest.raises(CannotRun):
        ScoreFusion([MidPoint(), CalibratedLoss()]).score(simulate_audit(n_units=30, pool=True).evidence)


@pytest.mark.parametrize(
    ("attacks", "message"),
    [
        ([MidPoint()], "two attacks or more"),
        ([], "two attacks or more"),
        ([MidPoint(), UtteranceSimilarity()], "two-sided"),
        ([PretextLoss(), CTCLoss()], "ctc_score and pretext_score"),
        ([LiRA(), SpeakerLiRA()], "different levels"),
    ],
)
def test_attacks_that_cannot_be_added_are_refused(attacks: list[Attack], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ScoreFusion(attacks)


def test_reference_models_need_the_signals_of_the_comparison_alone() -> None:
    fusion = ScoreFusion([Relearn(), CalibratedLoss()])
    assert fusion.groups == (DEFAULT_RELEARNING,)
    assert fusion.compared_groups == ()
    assert Relearn().compared_groups == ()


def test_without_reference_models_signals_are_added() -> None:
    evidence = simulate_audit(n_units=30, n_shadows=4).evidence
    alone = ScoreFusion([CalibratedLoss(), MidPoint()]).score_alone(evidence)
    np.testing.assert_allclose(alone, 2 * zscore(PretextLoss().score(evidence)))
