"""Corrections for all attacks of a family, and for all families."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lightning_mia.evaluation.results import Difference
from lightning_mia.evaluation.scores import Family, Key, Scores, group_by_family
from lightning_mia.evaluation.settings import ALPHA
from lightning_mia.evaluation.statistics.bootstrap import SpeakerDraws
from lightning_mia.evaluation.statistics.permutation import NullDistribution, corrected_p_values, critical_value
from lightning_mia.evaluation.wrong_model import ModelPair, compare_family, critical_quantile, largest_errors


@dataclass(frozen=True, eq=False)
class Resamples:
    """Null distribution and bootstrap of one `Scores`.

    Attributes:
        scores: the scores.
        null: AUROCs under observed and redrawn labels; value 0 is the observed one.
        advantage_null_mean: mean advantage over redrawn labels.
        draws: draws of speakers.
        replicates: (B,) AUROC of each draw.
    """

    scores: Scores
    null: NullDistribution
    advantage_null_mean: float
    draws: SpeakerDraws
    replicates: np.ndarray


@dataclass(frozen=True)
class Correction:
    """Figures of one attack that depend on the others.

    Attributes:
        p_value: corrected over the family (max-T).
        p_value_two_sided: the same, two-sided.
        critical_value: of the AUROC, in standard deviations from chance, for a leak after correction over all families.
        versus_wrong_model: simultaneous over the family; None without a wrong model.
        difference_quantile: of Student's t, that this difference must exceed, likewise.
    """

    p_value: float
    p_value_two_sided: float
    critical_value: float
    versus_wrong_model: Difference | None = None
    difference_quantile: float = 0.0


def correct_families(
    scores: Sequence[Scores], resamples: Mapping[Key, Resamples], wrong_models: Mapping[Key, Key]
) -> dict[Key, Correction]:
    """Correct the attacks of every family.

    Controls (access "none") are not corrected.

    Args:
        scores: of attacks and controls.
        resamples: of these and of wrong models.
        wrong_models: attack → wrong model's scores on the same units.
    """
    attacks = group_by_family(score for score in scores if score.access != "none")
    families = {family: [score.key for score in group] for family, group in attacks.items()}
    alpha = ALPHA / max(1, len(families))  # the first step of Holm's method over families
    contaminations = _wrong_model_p_values(families, resamples, wrong_models)
    corrections = {}
    for keys in families.values():
        nulls = [resamples[key].null for key in keys]
        one_sided, two_sided = corrected_p_values(nulls), corrected_p_values([null.as_two_sided() for null in nulls])
        critical = critical_value(nulls, alpha)
        for key, p, p_two_sided in zip(keys, one_sided, two_sided, strict=True):
            corrections[key] = Correction(p, p_two_sided, critical)
        compared = [key for key in keys if key in wrong_models]
        pairs = [_pair(resamples[key], resamples[wrong_models[key]]) for key in compared]
        largest = largest_errors(pairs)
        for key, pair, difference in zip(compared, pairs, compare_family(pairs), strict=True):
            corrections[key] = replace(
                corrections[key],
                versus_wrong_model=replace(difference, wrong_model_p_value=contaminations[key]),
                difference_quantile=critical_quantile(pair, largest, alpha),
            )
    return corrections


def _pair(target: Resamples, wrong: Resamples) -> ModelPair:
    return ModelPair(
        target.scores,
        wrong.scores,
        target.draws,
        target.null.observed,
        wrong.null.observed,
        target.replicates,
        wrong.replicates,
    )


def _wrong_model_p_values(
    families: Mapping[Family, Sequence[Key]], resamples: Mapping[Key, Resamples], wrong_models: Mapping[Key, Key]
) -> dict[Key, float]:
    """Test whether the wrong model departs from chance.

    The two-sided p-values are corrected over all accesses, because they concern one model.
    """
    questions: dict[tuple[str, str], list[Key]] = {}
    for family, keys in families.items():
        compared = [key for key in keys if key in wrong_models]
        questions.setdefault((family.level, family.part), []).extend(compared)
    p_values: dict[Key, float] = {}
    for keys in questions.values():
        nulls = [resamples[wrong_models[key]].null.as_two_sided() for key in keys]
        p_values |= dict(zip(keys, corrected_p_values(nulls), strict=True))
    return p_values
