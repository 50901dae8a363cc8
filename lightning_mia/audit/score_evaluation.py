"""Evaluate one array of scores of any model: AUROC, interval, p-value, TPR at FPR."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lightning_mia.evaluation import AttackResult, EvaluationSettings, Scores, TprAtFpr, evaluate_scores
from lightning_mia.evaluation.results import has_interval
from lightning_mia.report.content.numbers import NO_INTERVAL, percent
from lightning_mia.report.figures.attacks import Curve, log_roc_figure
from lightning_mia.report.notebook_report import figure_html
from lightning_mia.splits.sampling.assignment import assign_units
from lightning_mia.splits.sampling.sizes import MIN_UNITS_PER_CLASS
from lightning_mia.splits.split import LEADING_COLUMNS, TRAILING_COLUMNS, Split
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.ranges import InnerShare

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ScoreEvaluation:
    """Evaluation of one array of scores.

    A notebook shows it as a table with the ROC curve on logarithmic axes.

    Attributes:
        result: AUROC, interval, p-value, rates.
        scores: scores, labels and groups.

    Example:
        >>> members = np.tile([True, False], 20)
        >>> evaluate(np.arange(40) + 15 * members, members)
        AUROC 0.789 [0.613, 0.893], p 0.002, 20 members, 20 non-members, 40 groups
        TPR at FPR 1 %: 35 % [0 %, 57.3 %] (rough: fewer than 10 false positives)
        TPR at FPR 0.1 %: 35 % [0 %, 56.8 %] (rough: fewer than 10 false positives)
    """

    result: AttackResult
    scores: Scores

    @property
    def auroc(self) -> float:
        """Probability that a member scores higher than a non-member, ties counted half."""
        return self.result.auroc

    @property
    def auroc_ci95(self) -> tuple[float, float]:
        """95 % interval of the AUROC over groups; (0, 1) if nothing is known."""
        return self.result.auroc_ci95

    @property
    def p_value(self) -> float:
        """P-value by redrawing the labels, see `evaluate`."""
        return self.result.p_value

    @property
    def advantage(self) -> float:
        """max(TPR − FPR); chance alone gives `result.advantage_null_mean`."""
        return self.result.advantage

    @property
    def tpr_at_fpr(self) -> tuple[TprAtFpr, ...]:
        """True positive rate at each false positive rate."""
        return self.result.tpr_at_fpr

    def roc_figure(self) -> "Figure":
        """Draw the ROC curve with its 95 % band on logarithmic axes."""
        return log_roc_figure([Curve(f"AUROC {self.auroc:.2f}", self.scores)], None)

    def rows(self) -> list[tuple[str, str]]:
        """List the figures as (name, value) texts."""
        result = self.result
        interval = "[{:.3f}, {:.3f}]".format(*self.auroc_ci95) if has_interval(self.auroc_ci95) else NO_INTERVAL
        rates = [(f"TPR at FPR {percent(rate.fpr)}", _rate(rate)) for rate in self.tpr_at_fpr]
        chance = f"{result.advantage:.3f} (chance: {result.advantage_null_mean:.3f})"
        return [
            ("AUROC", f"{self.auroc:.3f} {interval}"),
            ("p", f"{self.p_value:.2g}"),
            *rates,
            ("advantage", chance),
            ("units", f"{result.n_members} members, {result.n_nonmembers} non-members, {result.n_speakers} groups"),
        ]

    def __repr__(self) -> str:
        """Return AUROC with interval, p-value, sizes, and a line per rate."""
        rows = dict(self.rows())
        rates = [f"{name}: {text}" for name, text in rows.items() if name.startswith("TPR")]
        return "\n".join([f"AUROC {rows['AUROC']}, p {rows['p']}, {rows['units']}", *rates])

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in self.rows())
        return f"<table>{rows}</table>{figure_html(self.roc_figure(), f'ROC curve: {self!r}')}"


def evaluate(
    scores: Any,
    members: Any,
    groups: Any = None,
    fprs: Sequence[InnerShare] = (0.01, 0.001),
    *,
    two_sided: bool = False,
    settings: EvaluationSettings | None = None,
) -> ScoreEvaluation:
    """Evaluate scores of any attack on any model.

    The p-value tests that membership was assigned regardless of the scores. No design is known for arrays, so the
    labels are redrawn under the assumption that the suite makes for all user-supplied labels: a group with one label
    was assigned as a whole, and the units of a group with both labels were assigned one by one. Labels of groups with
    one label are therefore exchanged between these groups, and labels of the other units within their group; both keep
    the number of member groups, and of members within each group. This is exact for any dependence within groups, if
    whole groups were drawn, if units were drawn within groups, and if a fair coin was tossed for each unit. Exchanging
    labels between all units would mistake what a group has in common, such as a voice, for membership. Without groups,
    all units are exchangeable.

    A small p-value shows that members and non-members differ in their scores. Whether membership is the reason depends
    on how they were chosen: without random assignment, the recordings themselves may differ.

    Args:
        scores: (n,) numbers, higher = more likely a member; NumPy array, torch tensor, Series or list.
        members: (n,) bool, or integers 0 and 1.
        groups: (n,) names or numbers of dependent units, such as speakers, for intervals and p-value; None: every unit
            is its own group.
        fprs: false positive rates, each between 0 and 1, at which the true positive rate is reported.
        two_sided: the sign of the effect is unknown beforehand, so that an AUROC below 0.5 counts as well.
        settings: number of redraws and of bootstraps, and seed; its `fprs` are replaced by `fprs`.

    Raises:
        InputError: lengths differ, a score is not a finite number, members are neither bool nor 0 and 1, fewer than 4
            units are members or non-members, or a group has no name.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> members, speakers = np.arange(200) % 2 == 0, np.arange(200) // 10
        >>> result = evaluate(rng.normal(members), members, groups=speakers, fprs=[0.1])
        >>> f"{result.auroc:.2f}", result.p_value < 0.01, [rate.fpr for rate in result.tpr_at_fpr]
        ('0.72', True, [0.1])
    """
    values, labels = read_scores_array(scores), read_members(members)
    names = None if groups is None else read_groups(groups)
    lengths = {"scores": values, "members": labels} | ({} if names is None else {"groups": names})
    if len({len(array) for array in lengths.values()}) > 1:
        sizes = ", ".join(f"{len(array)} {name}" for name, array in lengths.items())
        raise InputError(f"evaluate: the arrays differ in length: {sizes}; give one entry per unit in each")
    split = array_split(labels, names)
    base = settings or EvaluationSettings()
    settings = EvaluationSettings(base.n_redraws, base.n_bootstraps, [float(fpr) for fpr in fprs], base.seed)
    ids, speakers = split.table["id"].to_numpy(str), split.table["speaker"].to_numpy(str)
    evaluated = Scores("scores", "utterance", "grey-box", two_sided, ids, speakers, labels, values)
    (result,) = evaluate_scores([evaluated], split.redraw, settings)
    return ScoreEvaluation(result, evaluated)


def array_split(members: np.ndarray, groups: np.ndarray | None, ids: Sequence[str] | None = None) -> Split:
    """Make a user-supplied split of units.

    Args:
        members: (n,) bool.
        groups: (n,) str; None: every unit is its own group.
        ids: (n,) unique names in ascending order; None: numbers.

    Raises:
        InputError: fewer than 4 members or non-members.
    """
    n_members = int(members.sum())
    if min(n_members, len(members) - n_members) < MIN_UNITS_PER_CLASS:
        raise InputError(
            f"evaluate: {n_members} of {len(members)} units are members; give at least {MIN_UNITS_PER_CLASS} members "
            f"and {MIN_UNITS_PER_CLASS} non-members"
        )
    width = len(str(len(members)))
    names = [f"{number:0{width}d}" for number in range(len(members))] if ids is None else list(ids)
    rows = pd.DataFrame({"id": names, "speaker": names if groups is None else groups.tolist()})
    role = np.where(members, "member", "nonmember")
    rows = rows.assign(role=role, trained=members, target=members, audio=rows["id"])
    return Split(assign_units(rows)[[*LEADING_COLUMNS, *TRAILING_COLUMNS]], level="utterance", drawn=False)


def read_scores_array(scores: Any) -> np.ndarray:
    """Convert scores to (n,) float64.

    Raises:
        InputError: they are not numbers, not finite, or not one per unit.
    """
    values = as_numpy(scores)
    if values.dtype.kind not in "fiu":
        raise InputError(f"evaluate: scores are {_kind(values)}, not numbers; give an array of floats")
    if values.ndim != 1:
        raise InputError(f"evaluate: scores has shape {values.shape}; give one number per unit, shape (n,)")
    values = values.astype(np.float64)
    invalid = np.flatnonzero(~np.isfinite(values))
    if len(invalid):
        named = list_first([str(place) for place in invalid])
        raise InputError(
            f"evaluate: {len(invalid)} of {len(values)} scores are not finite, at index {named}; leave such units out"
        )
    return values


def read_members(members: Any) -> np.ndarray:
    """Convert labels to (n,) bool.

    Raises:
        InputError: they are neither bool nor 0 and 1, or not one per unit.
    """
    labels = as_numpy(members)
    is_binary = labels.dtype.kind in "iuf" and bool(((labels == 0) | (labels == 1)).all())
    if labels.dtype != bool and not is_binary:
        raise InputError(
            f"evaluate: members are {_kind(labels)}, not bool or 0 and 1; give a mask, such as `labels == 'member'`"
        )
    if labels.ndim != 1:
        raise InputError(f"evaluate: members has shape {labels.shape}; give one label per unit, shape (n,)")
    return labels.astype(bool)


def read_groups(groups: Any) -> np.ndarray:
    """Convert names of groups to (n,) str.

    Raises:
        InputError: one is missing, or they are not one per unit.
    """
    names = as_numpy(groups)
    if names.ndim != 1:
        raise InputError(f"evaluate: groups has shape {names.shape}; give one name per unit, shape (n,)")
    missing = np.flatnonzero(np.asarray(pd.isna(names)) | (names.astype(str) == ""))
    if len(missing):
        named = list_first([str(place) for place in missing])
        raise InputError(f"evaluate: {len(missing)} of {len(names)} groups have no name, at index {named}; name them")
    return names.astype(str)


def as_numpy(values: Any) -> np.ndarray:
    """Convert an array, a torch tensor, a Series or a list.

    Raises:
        InputError: rows of unequal length.
    """
    if hasattr(values, "detach"):  # a torch tensor
        return np.asarray(values.detach().cpu().numpy())
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(f"evaluate: an array cannot be read ({error}); give one entry per unit") from error


def _rate(rate: TprAtFpr) -> str:
    interval = "[{}, {}]".format(*map(percent, rate.tpr_ci95)) if has_interval(rate.tpr_ci95) else NO_INTERVAL
    rough = "" if rate.resolvable else " (rough: fewer than 10 false positives)"
    return f"{percent(rate.tpr)} {interval}{rough}"


def _kind(values: np.ndarray) -> str:
    return "text" if values.dtype.kind in "USO" else str(values.dtype)
