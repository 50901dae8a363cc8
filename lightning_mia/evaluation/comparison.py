"""The target against the wrong model: the same units and labels, scored with a model trained on neither side.

Whatever separates the two sides for both models is a property of the recordings, not a trace of training.
"""

import numpy as np

from lightning_mia.evaluation.adjustment import align
from lightning_mia.evaluation.auroc import auroc
from lightning_mia.evaluation.bootstrap import SpeakerDraws, bootstrap_auroc
from lightning_mia.evaluation.intervals import standard_error, t_quantile
from lightning_mia.evaluation.results import Difference
from lightning_mia.evaluation.scores import Scores


def versus_wrong_model(scores: Scores, wrong: Scores, draws: SpeakerDraws, replicates: np.ndarray) -> Difference:
    """Paired difference of two AUROCs, with a one-sided lower bound over speakers.

    A two-sided attack has no direction of its own and takes that of the target's AUROC. Were there no
    leak, that choice would favour the target: either sign can come out positive by chance, about twice as
    often as one. The bound is therefore taken at 97.5 % there, so that it lies above a true difference of
    0 in at most 5 %.

    Args:
        scores: of the target, n units.
        wrong: of the wrong model, on the same units at least, in any order.
        draws: of the speakers of these n units.
        replicates: (B,) AUROC of the target in each draw.

    Raises:
        ValueError: the wrong model did not judge one of the units.
    """
    values = align(wrong, scores)
    of_target, of_wrong = auroc(scores.values, scores.members), auroc(values, scores.members)
    sign = -1.0 if scores.two_sided and of_target < 0.5 else 1.0
    difference = sign * (of_target - of_wrong)
    spread = standard_error(replicates - bootstrap_auroc(values, scores.members, draws))
    quantile = t_quantile(0.975 if scores.two_sided else 0.95, draws.degrees_of_freedom)
    lower = difference - quantile * spread if np.isfinite(quantile * spread) else -1.0
    return Difference(
        value=difference,
        lower95=max(-1.0, lower),
        standard_error=spread if np.isfinite(spread) else 1.0,
        auroc_wrong_model=of_wrong,
    )
