"""The one false positive rate that the tables of attacks show: 1 %, or what comes nearest to it."""

import math
from collections.abc import Sequence

from lightning_mia.evaluation.results import AttackResult, InTurn, TprAtFpr

HEADLINE_FPR = 0.01


def headline_rate(rates: Sequence[TprAtFpr]) -> TprAtFpr | None:
    """The rate nearest to 1 %, by its logarithm; None where there are none."""
    return min(rates, key=lambda rate: abs(math.log(rate.fpr / HEADLINE_FPR)), default=None)


def headline_tpr_in_turn(result: AttackResult) -> float | None:
    """The mean true positive rate there, over the shadow models in the target's place; None where there are none."""
    turns: InTurn | None = result.in_turn
    rate = headline_rate(result.tpr_at_fpr)
    if turns is None or rate is None:
        return None
    return turns.tpr_mean[result.tpr_at_fpr.index(rate)]
