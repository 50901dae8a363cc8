"""Evaluate attacks and controls: from scores to results."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from lightning_mia.evaluation.clean_splits import CleanSplits
from lightning_mia.evaluation.families import Correction, Resamples, correct_families
from lightning_mia.evaluation.results import (
    AttackResult,
    BlindResult,
    EachAsTarget,
    ExposureGroup,
    Interval,
    SubsetResult,
    TprAtFpr,
    VersusSiblings,
)
from lightning_mia.evaluation.scores import Key, Scores, group_by_units
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.evaluation.statistics.adjustment import align, blind_adjusted_auroc
from lightning_mia.evaluation.statistics.auroc import auroc, labelled_aurocs
from lightning_mia.evaluation.statistics.bootstrap import bootstrap_auroc, draw_speakers
from lightning_mia.evaluation.statistics.intervals import auroc_interval, auroc_with_interval, t_quantile
from lightning_mia.evaluation.statistics.permutation import NullDistribution, p_value
from lightning_mia.evaluation.statistics.power import smallest_detectable_auroc
from lightning_mia.evaluation.statistics.roc import advantages, tpr_at_fpr

MAX_ADVANTAGE_REDRAWS = 250  # sufficient to estimate the mean advantage to within 2 %


class Redraw(Protocol):
    """Function that redraws a split's labels, such as `Split.redraw`.

    Example:
        >>> def redraw(units: Sequence[str], level: str, n: int, seed: int) -> np.ndarray:
        ...     labels = np.arange(len(units)) % 2 == 0
        ...     return np.random.default_rng(seed).permuted(np.tile(labels, (n, 1)), axis=1)
        >>> redraw(["a", "b", "c", "d"], "utterance", n=2, seed=0).sum(axis=1)
        array([2, 2])
    """

    def __call__(self, units: Sequence[str], level: str, n: int, seed: int) -> np.ndarray:
        """Return labels of redrawn splits, (n, units) bool."""
        ...


@dataclass(frozen=True)
class Context:
    """Context of an attack or control, besides its scores.

    Attributes:
        wrong_model: scores of the same attack on a model trained on neither members nor non-members.
        blind: scores of the blind baseline on the same units, for the adjusted AUROC.
        n_shadows: as in `AttackResult`.
        queries: as in `AttackResult`.
        in_turn: as in `AttackResult`.
        with_fewer: as in `AttackResult`, without the entry for all shadow models, which `evaluate_scores` adds.
        versus_siblings: as in `AttackResult`.
        exposures: unit_id → how often a unit is in an epoch of a model that is trained on it; None: all are once.
        n_references: as in `AttackResult`.

    Example:
        >>> contexts = {("lira", "utterance"): Context(n_shadows=16, queries=8)}  # as `evaluate_scores` takes them
        >>> contexts["lira", "utterance"].queries
        8
    """

    wrong_model: Scores | None = None
    blind: Scores | None = None
    n_shadows: int = 0
    queries: int | None = None
    in_turn: EachAsTarget | None = None
    with_fewer: tuple[SubsetResult, ...] = ()
    versus_siblings: VersusSiblings | None = None
    exposures: Mapping[str, int] | None = None
    n_references: int = 0


def evaluate_scores(
    scores: Sequence[Scores],
    redraw: Redraw,
    settings: EvaluationSettings,
    contexts: Mapping[Key, Context] | None = None,
    progress: bool = False,
) -> list[AttackResult]:
    """Evaluate attacks and controls.

    All scores of one level share the same redraws, even if their units differ. The attacks of a family (same level,
    part and access) are corrected together; controls (access "none") are not corrected. The smallest detectable AUROC
    allows for all families, as the overall verdict does.

    Args:
        scores: of the target; `(name, level)` is unique.
        redraw: redraws the labels of the split.
        settings: of the evaluation.
        contexts: by `(name, level)`; scores without an entry are evaluated without a context.
        progress: show progress bars.

    Returns:
        One result per `Scores`, in the same order.

    Raises:
        ValueError: two scores share name and level, or the scores of a wrong model or blind baseline lack a unit.

    Example:
        >>> import numpy as np
        >>> members = np.tile([True, False], 20)
        >>> units = [f"speaker {i:02d}" for i in range(40)]
        >>> scores = Scores("loss", "speaker", "grey-box", False, units, units, members, np.arange(40) + 15 * members)
        >>> def redraw(units, level, n, seed):
        ...     return np.random.default_rng(seed).permuted(np.tile(members, (n, 1)), axis=1)
        >>> (result,) = evaluate_scores([scores], redraw, EvaluationSettings())
        >>> f"AUROC {result.auroc:.2f}, p = {result.p_value:.3f}"
        'AUROC 0.79, p = 0.002'
    """
    from lightning_mia.utilities.progress_bar import tqdm

    keys = [score.key for score in scores]
    if len(set(keys)) < len(keys):
        raise ValueError(f"Expected each (name, level) once, got {sorted(keys)}")
    contexts = contexts or {}
    wrong_models = _wrong_models(scores, contexts)
    resamples: dict[Key, Resamples] = {}
    groups = group_by_units([*scores, *(wrong for wrong in wrong_models.values() if wrong.key not in keys)])
    redraws = _redraw_levels(groups, redraw, settings)
    with tqdm(total=sum(map(len, groups)), desc="Redrawing", unit="attack", disable=not (progress and scores)) as bar:
        for group in groups:
            labels = redraws[group[0].level].labels_for(group[0])
            redrawn_aurocs = labelled_aurocs(np.stack([score.values for score in group]), labels)
            for score, aurocs in zip(group, redrawn_aurocs, strict=True):
                redrawn_advantages = advantages(score.values, labels[:MAX_ADVANTAGE_REDRAWS])
                resamples[score.key] = _resample(score, aurocs, redrawn_advantages, settings)
                bar.update()
    corrections = correct_families(scores, resamples, {key: wrong.key for key, wrong in wrong_models.items()})
    return [
        _result(score, resamples[score.key], settings, contexts.get(score.key, Context()), corrections.get(score.key))
        for score in tqdm(scores, desc="Evaluating", unit="attack", disable=not (progress and scores))
    ]


def evaluate_blind(
    scores: Scores,
    redrawn_aurocs: np.ndarray,
    redrawn_advantages: np.ndarray,
    settings: EvaluationSettings,
    p_values: np.ndarray | None = None,
) -> BlindResult:
    """Evaluate the blind baseline, refitted to every redrawn labelling.

    Args:
        scores: cross-fitted to the observed labels; one-sided.
        redrawn_aurocs: (R,) AUROC after cross-fitting to each redrawn labelling.
        redrawn_advantages: (R,) their advantages.
        settings: of the evaluation.
        p_values: (1 + R,) p-value with which each labelling would be refused, the observed one first; None: the share
            of refused clean splits is not computed.
    """
    resamples = _resample(scores, redrawn_aurocs, redrawn_advantages, settings)
    result = _result(scores, resamples, settings, Context())
    values, members, draws = scores.values, scores.members, resamples.draws

    def upper_bound(auroc: float) -> float:
        interval90 = auroc_interval(auroc, resamples.replicates, values, members, draws, level=0.90)
        # Refitting to other labels can move the AUROC further than drawing other speakers: the larger bound counts.
        refitted = auroc + t_quantile(0.95, draws.degrees_of_freedom) * resamples.null.standard_deviation
        return min(1.0, max(interval90[1], refitted))

    blind = BlindResult(result, upper95=upper_bound(result.auroc))
    if p_values is None:
        return blind
    clean = CleanSplits(redrawn_aurocs, p_values[1:], upper_bound, draws.degrees_of_freedom)
    return replace(blind, clean_refused=clean.refused, growth_needed=clean.growth_needed())


def estimate(scores: Scores, settings: EvaluationSettings) -> tuple[float, Interval, tuple[TprAtFpr, ...]]:
    """Estimate AUROC, 95 % interval and true positive rates.

    They equal those that `evaluate_scores` returns.
    """
    seed = _bootstrap_seed(scores, settings)
    figures = auroc_with_interval(scores.values, scores.members, scores.speakers, settings.n_bootstraps, seed)
    return *figures, tuple(tpr_at_fpr(scores, fpr) for fpr in settings.fprs)


def by_exposures(
    scores: Scores, exposures: Mapping[str, int], settings: EvaluationSettings
) -> tuple[ExposureGroup, ...]:
    """Evaluate groups of members against the same non-members.

    Groups without members are left out.

    Args:
        scores: of one attack.
        exposures: unit_id → how often a unit is in an epoch of a model that is trained on it.
        settings: of the evaluation.

    Example:
        >>> members = np.tile([True, True, False, False], 20)
        >>> units = [str(i) for i in range(80)]
        >>> times = np.tile([1, 8, 1, 8], 20)
        >>> scores = Scores("loss", "utterance", "grey-box", False, units, units, members, times * members)
        >>> groups = by_exposures(scores, dict(zip(units, times.tolist())), EvaluationSettings())
        >>> [(group.exposures, group.n_members, group.auroc) for group in groups]
        [(1, 20, 1.0), (8, 20, 1.0)]
    """
    times = np.array([exposures[unit] for unit in scores.unit_ids.tolist()])
    groups = []
    for number in np.unique(times[scores.members]).tolist():
        chosen = ~scores.members | (times == number)
        selected = replace(
            scores,
            unit_ids=scores.unit_ids[chosen],
            speakers=scores.speakers[chosen],
            members=scores.members[chosen],
            values=scores.values[chosen],
        )
        groups.append(ExposureGroup(number, selected.n_members, *estimate(selected, settings)))
    return tuple(groups)


@dataclass(frozen=True)
class _LevelRedraws:
    """Redrawn labels of all units of one level."""

    labels: np.ndarray  # (R, units) bool
    column: dict[str, int]  # of each unit

    def labels_for(self, scores: Scores) -> np.ndarray:
        """Return the labels of an attack's units, (R, n) bool."""
        columns = np.array([self.column[unit] for unit in scores.unit_ids.tolist()])
        same = len(columns) == self.labels.shape[1] and (columns == np.arange(len(columns))).all()
        return self.labels if same else self.labels[:, columns]


def _wrong_models(scores: Sequence[Scores], contexts: Mapping[Key, Context]) -> dict[Key, Scores]:
    """Return the wrong model's scores on each attack's units.

    Scores that are evaluated as a control anyway are not copied.
    """
    controls = {id(score): score for score in scores}
    wrong_models = {}
    for score in scores:
        wrong = contexts.get(score.key, Context()).wrong_model
        if wrong is None or score.access == "none":
            continue
        values = align(wrong, score)
        is_control = id(wrong) in controls and values is wrong.values
        name = f"wrong model of {score.name}"
        wrong_models[score.key] = wrong if is_control else replace(score, name=name, access="none", values=values)
    return wrong_models


def _redraw_levels(
    groups: Sequence[Sequence[Scores]], redraw: Redraw, settings: EvaluationSettings
) -> dict[str, _LevelRedraws]:
    redraws = {}
    for level in dict.fromkeys(group[0].level for group in groups):
        units = sorted(set().union(*(group[0].unit_ids.tolist() for group in groups if group[0].level == level)))
        labels = np.asarray(redraw(units, level, settings.n_redraws, settings.seed), dtype=bool)
        redraws[level] = _LevelRedraws(labels, {unit: number for number, unit in enumerate(units)})
    return redraws


def _resample(
    scores: Scores,
    redrawn_aurocs: np.ndarray,  # (R,)
    redrawn_advantages: np.ndarray,
    settings: EvaluationSettings,
) -> Resamples:
    observed = auroc(scores.values, scores.members)
    draws = draw_speakers(scores.speakers, scores.members, settings.n_bootstraps, _bootstrap_seed(scores, settings))
    return Resamples(
        scores=scores,
        null=NullDistribution(np.append(observed, redrawn_aurocs), scores.two_sided),
        advantage_null_mean=float(redrawn_advantages.mean()),
        draws=draws,
        replicates=bootstrap_auroc(scores.values, scores.members, draws),
    )


def _result(
    scores: Scores,
    resamples: Resamples,
    settings: EvaluationSettings,
    context: Context,
    correction: Correction | None = None,
) -> AttackResult:
    values, members, draws = scores.values, scores.members, resamples.draws
    observed = resamples.null.observed
    interval = auroc_interval(observed, resamples.replicates, values, members, draws)
    rates = tuple(tpr_at_fpr(scores, fpr) for fpr in settings.fprs)
    blind = context.blind
    all_shadows = (SubsetResult(context.n_shadows, observed, interval, rates),) if context.n_shadows else ()
    return AttackResult(
        name=scores.name,
        level=scores.level,
        access=scores.access,
        n_members=scores.n_members,
        n_nonmembers=scores.n_nonmembers,
        n_speakers=len(np.unique(scores.speakers)),
        auroc=observed,
        auroc_ci95=interval,
        p_value=p_value(resamples.null),
        p_value_corrected=None if correction is None else correction.p_value,
        two_sided=scores.two_sided,
        advantage=float(advantages(values, members[None])[0]),
        advantage_null_mean=resamples.advantage_null_mean,
        tpr_at_fpr=rates,
        smallest_detectable_auroc=None
        if correction is None
        else smallest_detectable_auroc(
            correction.critical_value,
            resamples.null,
            scores.n_members,
            scores.n_nonmembers,
            correction.versus_wrong_model,
            correction.difference_quantile,
        ),
        versus_wrong_model=None if correction is None else correction.versus_wrong_model,
        auroc_blind_adjusted=None if blind is None else blind_adjusted_auroc(scores, blind),
        n_shadows=context.n_shadows,
        n_references=context.n_references,
        queries=context.queries,
        in_turn=context.in_turn,
        with_fewer=(*context.with_fewer, *all_shadows),
        part=scores.part,
        p_value_two_sided=None if correction is None else correction.p_value_two_sided,
        versus_siblings=context.versus_siblings,
        by_exposures=by_exposures(scores, context.exposures, settings) if context.exposures else (),
    )


def _bootstrap_seed(scores: Scores, settings: EvaluationSettings) -> int:
    """Derive the bootstrap seed from the units.

    Attacks on the same units share its draws, so that their intervals do not differ by chance alone.
    """
    return zlib.crc32("\n".join(scores.unit_ids.tolist()).encode()) ^ settings.seed
