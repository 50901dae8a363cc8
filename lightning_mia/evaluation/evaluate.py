"""From scores to results: every attack and control of a run, and the blind control."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from lightning_mia.evaluation.paired import versus_wrong_model
from lightning_mia.evaluation.results import AttackResult, BlindResult, Interval, TprAtFpr
from lightning_mia.evaluation.scores import Scores, by_units
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.evaluation.statistics.adjustment import blind_adjusted_auroc
from lightning_mia.evaluation.statistics.auroc import auroc, auroc_of_labels
from lightning_mia.evaluation.statistics.bootstrap import SpeakerDraws, bootstrap_auroc, draw_speakers
from lightning_mia.evaluation.statistics.intervals import auroc_interval, auroc_with_interval, t_quantile
from lightning_mia.evaluation.statistics.permutation import (
    NullDistribution,
    corrected_p_values,
    critical_value,
    p_value,
)
from lightning_mia.evaluation.statistics.power import smallest_detectable_auroc
from lightning_mia.evaluation.statistics.roc import advantages, tpr_at_fpr

SUFFICIENT_FOR_A_MEAN = 250  # redraws: the mean of the advantage is then known to 2 % of itself


class Redraw(Protocol):
    """How the split redraws its labels; `Split.redraw` is one."""

    def __call__(self, units: Sequence[str], level: str, n: int, seed: int) -> np.ndarray:
        """Labels of these units in `n` redrawn splits, (n, units) bool."""
        ...


def evaluate(
    scores: Sequence[Scores],
    redraw: Redraw,
    settings: EvaluationSettings,
    wrong_model: Mapping[tuple[str, str], Scores] | None = None,
    blind: Mapping[tuple[str, str], Scores] | None = None,
    progress: bool = False,
) -> list[AttackResult]:
    """Judge attacks and controls, each at its level.

    All that stand at one level share the same redraws, also where their units differ; the attacks of one
    level and access are corrected together, controls (access "none") not at all.

    Args:
        scores: of the target, `(name, level)` unique.
        redraw: how the split redraws its labels.
        settings: of the evaluation.
        wrong_model: by `(name, level)`, the same attack's scores by a model trained on neither side.
        blind: by `(name, level)`, the blind control's scores of the same units, for the adjusted AUROC.
        progress: show a progress bar.

    Returns:
        One result a `Scores`, in their order.

    Raises:
        ValueError: two of them share name and level, or a wrong-model or blind score lacks a unit.
    """
    from tqdm import tqdm

    keys = [(one.name, one.level) for one in scores]
    if len(set(keys)) < len(keys):
        raise ValueError(f"Expected each (name, level) once, got {sorted(keys)}")
    groups = by_units(scores)
    of_levels: dict[str, list[Scores]] = {}  # the first of each group, by level
    for group in groups:
        of_levels.setdefault(group[0].level, []).append(group[0])
    redraws = {level: _redraw_level(firsts, redraw, settings) for level, firsts in of_levels.items()}
    judged: dict[tuple[str, str], _Judged] = {}
    with tqdm(total=len(scores), desc="Evaluating", unit="attack", disable=not (progress and scores)) as bar:
        for group in groups:
            labels = redraws[group[0].level].of(group[0])
            redrawn = auroc_of_labels(np.stack([one.values for one in group]), labels)
            for one, aurocs in zip(group, redrawn, strict=True):
                key, gains = (one.name, one.level), advantages(one.values, labels[:SUFFICIENT_FOR_A_MEAN])
                wrong, blind_scores = (wrong_model or {}).get(key), (blind or {}).get(key)
                judged[key] = _judge(one, aurocs, gains, settings, wrong, blind_scores)
                bar.update()
    return _correct([judged[key] for key in keys])


def evaluate_blind(
    scores: Scores, redrawn_aurocs: np.ndarray, redrawn_advantages: np.ndarray, settings: EvaluationSettings
) -> BlindResult:
    """Judge the blind control, whose scores are fitted to the labels and change with them.

    Args:
        scores: cross-fitted to the observed labels; one-sided.
        redrawn_aurocs: (R,) AUROC of the scores that were cross-fitted to each redrawn labelling.
        redrawn_advantages: (R,) their advantages.
        settings: of the evaluation.
    """
    judged = _judge(scores, redrawn_aurocs, redrawn_advantages, settings)
    result = judged.result
    interval90 = auroc_interval(
        result.auroc, judged.replicates, scores.values, scores.members, judged.draws, level=0.90
    )
    # Refitting to other labels moves the AUROC further than drawing other speakers does: the wider of both counts.
    refitted = result.auroc + t_quantile(0.95, judged.draws.degrees_of_freedom) * judged.null.standard_deviation
    return BlindResult(result, upper95=min(1.0, max(interval90[1], refitted)))


def estimate(scores: Scores, settings: EvaluationSettings) -> tuple[float, Interval, tuple[TprAtFpr, ...]]:
    """AUROC, its 95 % interval and the true positive rates alone, as `evaluate` has them."""
    seed = _seed(scores, settings)
    figures = auroc_with_interval(scores.values, scores.members, scores.speakers, settings.n_bootstraps, seed)
    return *figures, tuple(tpr_at_fpr(scores, fpr) for fpr in settings.fprs)


@dataclass(frozen=True)
class _Judged:
    """A result that the correction over its family has yet to complete, and what it came from."""

    result: AttackResult
    null: NullDistribution
    draws: SpeakerDraws
    replicates: np.ndarray  # (B,) AUROC of each draw of speakers


@dataclass(frozen=True)
class _LevelRedraws:
    """Redrawn labels of all units that are judged at one level."""

    labels: np.ndarray  # (R, units) bool
    column: dict[str, int]  # of each unit

    def of(self, scores: Scores) -> np.ndarray:
        """Labels of these units, (R, n) bool."""
        columns = np.array([self.column[unit] for unit in scores.unit_ids.tolist()])
        same = len(columns) == self.labels.shape[1] and (columns == np.arange(len(columns))).all()
        return self.labels if same else self.labels[:, columns]


def _redraw_level(scores: Sequence[Scores], redraw: Redraw, settings: EvaluationSettings) -> _LevelRedraws:
    units = sorted(set().union(*(one.unit_ids.tolist() for one in scores)))
    labels = np.asarray(redraw(units, scores[0].level, settings.n_redraws, settings.seed), dtype=bool)
    return _LevelRedraws(labels, {unit: number for number, unit in enumerate(units)})


def _judge(
    scores: Scores,
    redrawn_aurocs: np.ndarray,  # (R,)
    redrawn_advantages: np.ndarray,
    settings: EvaluationSettings,
    wrong: Scores | None = None,
    blind: Scores | None = None,
) -> _Judged:
    values, members = scores.values, scores.members
    observed = auroc(values, members)
    null = NullDistribution(np.append(observed, redrawn_aurocs), scores.two_sided)
    draws = draw_speakers(scores.speakers, members, settings.n_bootstraps, _seed(scores, settings))
    replicates = bootstrap_auroc(values, members, draws)
    result = AttackResult(
        name=scores.name,
        level=scores.level,
        access=scores.access,
        n_members=scores.n_members,
        n_nonmembers=scores.n_nonmembers,
        n_speakers=len(np.unique(scores.speakers)),
        auroc=observed,
        auroc_ci95=auroc_interval(observed, replicates, values, members, draws),
        p_value=p_value(null),
        p_value_corrected=None,
        two_sided=scores.two_sided,
        advantage=float(advantages(values, members[None])[0]),
        advantage_null_mean=float(redrawn_advantages.mean()),
        tpr_at_fpr=tuple(tpr_at_fpr(scores, fpr) for fpr in settings.fprs),
        versus_wrong_model=None if wrong is None else versus_wrong_model(scores, wrong, draws, replicates),
        auroc_blind_adjusted=None if blind is None else blind_adjusted_auroc(scores, blind),
    )
    return _Judged(result, null, draws, replicates)


def _correct(judged: list[_Judged]) -> list[AttackResult]:
    """Complete the attacks, family by family, by what depends on the whole family."""
    results = [one.result for one in judged]
    for family in {(result.level, result.access) for result in results if result.access != "none"}:
        places = [place for place, one in enumerate(results) if (one.level, one.access) == family]
        nulls = [judged[place].null for place in places]
        critical = critical_value(nulls)
        for place, corrected in zip(places, corrected_p_values(nulls), strict=True):
            results[place] = replace(
                results[place],
                p_value_corrected=corrected,
                smallest_detectable_auroc=smallest_detectable_auroc(
                    critical,
                    judged[place].null,
                    results[place].n_members,
                    results[place].n_nonmembers,
                    results[place].versus_wrong_model,
                    judged[place].draws.degrees_of_freedom,
                ),
            )
    return results


def _seed(scores: Scores, settings: EvaluationSettings) -> int:
    """Of the bootstrap: the same for the same units, so that intervals do not differ by chance alone."""
    return zlib.crc32("\n".join(scores.unit_ids.tolist()).encode()) ^ settings.seed
