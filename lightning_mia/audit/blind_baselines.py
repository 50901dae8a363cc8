"""Blind baselines of a split, and what they say before anything is trained."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from lightning_mia.audit.blind_kinds import blind_name
from lightning_mia.evaluation import BlindResult, EvaluationSettings, Scores, evaluate_blind, give_blind_verdict
from lightning_mia.evaluation.clean_splits import is_often_refused, size_sentences
from lightning_mia.evaluation.statistics.permutation import corrected_p_values, p_values_of_largest
from lightning_mia.splits import Level, Part, Split
from lightning_mia.splits.blind_baseline.classifier import fit_blind_baselines
from lightning_mia.splits.blind_baseline.few_units import count_redraws

BlindBaselines = Mapping[tuple[Level, Part], Sequence[tuple[Scores, BlindResult]]]
"""Blind baselines of every level and part, that of acoustics first."""

log = logging.getLogger(__name__)


def blind_baselines(
    statistics: Mapping[str, pd.DataFrame], split: Split, settings: EvaluationSettings
) -> BlindBaselines:
    """Evaluate the blind baselines on every level and part.

    The one of acoustics comes first. It is called `blind` on the default part of a level, `blind_PART` on others; one
    of another kind is called `blind_KIND` and `blind_KIND_PART`.

    Args:
        statistics: model-free statistics of the recordings by kind, index = id; see `blind_kinds`.
        split: members and non-members; redraws them for p-values.
        settings: evaluation settings.
    """
    return {
        (level, part): _evaluate_kinds(statistics, split, level, part, settings)
        for level in split.levels
        for part in split.parts(level)
    }


def scores_of(blind: BlindBaselines) -> tuple[Scores, ...]:
    """List the scores of all levels, parts and kinds."""
    return tuple(scores for controls in blind.values() for scores, _ in controls)


def results_of(blind: BlindBaselines) -> list[BlindResult]:
    """List the results of all levels, parts and kinds."""
    return [result for controls in blind.values() for _, result in controls]


def size_notes(blind: BlindBaselines, split: Split) -> tuple[str, ...]:
    """Say how often a clean split of this size is refused.

    Empty if this tool drew the split.
    """
    return () if split.drawn else size_sentences(results_of(blind))


def log_size(blind: BlindBaselines, split: Split) -> None:
    """Log how often a clean split of this size is refused.

    It is a warning if that is often. Nothing is logged if this tool drew the split.
    """
    level = logging.WARNING if is_often_refused(results_of(blind)) else logging.INFO
    for sentence in size_notes(blind, split):
        log.log(level, "%s", sentence)


def warn_if_refused(blind: BlindBaselines, split: Split) -> None:
    """Log a warning for each level at which the blind baselines refuse the split."""
    verdict = give_blind_verdict(results_of(blind), drawn=split.drawn, level=split.level)
    for refused in verdict.by_level_and_access:
        if refused.status == "not_assessable":
            log.warning("The verdict will be not_assessable at %s level: %s", refused.level, refused.reason)


def _evaluate_kinds(
    statistics: Mapping[str, pd.DataFrame], split: Split, level: Level, part: Part, settings: EvaluationSettings
) -> list[tuple[Scores, BlindResult]]:
    challenge = split.challenge(level, part)
    units = list(challenge["unit_id"].unique())
    redraws = split.redraw(units, level, count_redraws(len(units), settings.n_redraws), settings.seed)
    fits = fit_blind_baselines(statistics, challenge, redraws, level)
    family = [null for fit in fits.values() for null in fit.nulls]
    corrected, suffix = iter(corrected_p_values(family)), "" if part == split.parts(level)[0] else f"_{part}"
    controls = []
    for kind, fit in fits.items():
        question = part if level == "speaker" else ""
        scores = replace(fit.scores, name=f"{blind_name(kind)}{suffix}", part=question)
        # Only the baseline of acoustics has a limit of its bound.
        of_family = p_values_of_largest(family) if kind == "acoustics" else None
        control = evaluate_blind(scores, fit.redrawn_aurocs, fit.redrawn_advantages, settings, of_family)
        result = replace(control.result, p_value_corrected=min(next(corrected) for _ in fit.nulls))
        controls.append((scores, replace(control, result=result, n_labellings=split.count_labellings(units, level))))
    return controls
