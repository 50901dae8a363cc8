"""Membership metrics for torchmetrics: AUROC, TPR at a fixed FPR, advantage.

Scores are raw: any finite numbers, higher = more likely a member. Nothing is passed through a sigmoid, which
torchmetrics does with scores outside [0, 1] by default. Each metric has a functional form; both compute in float64.

A batch, or an epoch, without members or without non-members has no value: the result is NaN, with a warning.
"""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import rank_zero_warn
from torchmetrics.utilities.data import dim_zero_cat

from lightning_mia.evaluation.statistics import auroc as exact
from lightning_mia.evaluation.statistics.roc import advantages, highest_tpr
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import Range, check_ranges

__all__ = ["AUROC", "MembershipAdvantage", "TPRAtFPR", "auroc", "membership_advantage", "tpr_at_fpr"]

Rate = Annotated[float, Range(0, 1)]


def auroc(preds: Tensor, target: Tensor) -> Tensor:
    """Compute the AUROC of raw scores.

    It is the probability that a member scores higher than a non-member, ties counted half.

    Args:
        preds: (n,) scores, higher = more likely a member.
        target: (n,) bool, or integers 0 and 1; 1 = member.

    Returns:
        () tensor on the device of `preds`; NaN without members or without non-members.

    Raises:
        InputError: shapes differ, a score is not finite, or a label is neither 0 nor 1.

    Example:
        >>> auroc(torch.tensor([101.0, 102.0, 103.0, 104.0]), torch.tensor([0, 1, 0, 1]))
        tensor(0.7500)
    """
    return _compute("auroc", exact.auroc, preds, target)


def tpr_at_fpr(preds: Tensor, target: Tensor, fpr: Rate = 0.01) -> Tensor:
    """Compute the TPR at a fixed FPR.

    It is the share of members with score ≥ t, for the lowest threshold t that at most a share `fpr` of the non-members
    reaches. Nothing is interpolated, and equal scores are never separated.

    Args:
        preds: (n,) scores, higher = more likely a member.
        target: (n,) bool, or integers 0 and 1; 1 = member.
        fpr: false positive rate, 0 to 1.

    Returns:
        () tensor on the device of `preds`; NaN without members or without non-members.

    Raises:
        InputError: shapes differ, a score is not finite, a label is neither 0 nor 1, or the rate is out of range.

    Example:
        >>> scores, members = torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0]), torch.tensor([1, 1, 0, 1, 0])
        >>> tpr_at_fpr(scores, members, fpr=0.0), tpr_at_fpr(scores, members, fpr=0.5)
        (tensor(0.6667), tensor(1.))
    """
    check_ranges(tpr_at_fpr, {"fpr": fpr}, "tpr_at_fpr: ")
    return _compute("tpr_at_fpr", lambda values, members: highest_tpr(values, members, fpr), preds, target)


def membership_advantage(preds: Tensor, target: Tensor) -> Tensor:
    """Compute the membership advantage, max(TPR − FPR).

    Yeom et al. (2018), definition 4, at the best threshold of these very scores. Chance gives more than 0.

    Args:
        preds: (n,) scores, higher = more likely a member.
        target: (n,) bool, or integers 0 and 1; 1 = member.

    Returns:
        () tensor on the device of `preds`; NaN without members or without non-members.

    Raises:
        InputError: shapes differ, a score is not finite, or a label is neither 0 nor 1.

    Example:
        >>> membership_advantage(torch.tensor([5.0, 4.0, 3.0, 2.0]), torch.tensor([1, 1, 0, 1]))
        tensor(0.6667)
    """
    return _compute(
        "membership_advantage", lambda values, members: float(advantages(values, members[None])[0]), preds, target
    )


class _MembershipMetric(Metric):
    """Base class: keeps all scores and labels, and gathers those of all processes."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    preds: list[Tensor]
    target: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("preds", default=[], dist_reduce_fx="cat")
        self.add_state("target", default=[], dist_reduce_fx="cat")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add scores (n,) and labels (n,).

        Raises:
            InputError: shapes differ, a score is not finite, or a label is neither 0 nor 1.
        """
        _check(type(self).__name__, preds, target)
        self.preds.append(preds.detach())
        self.target.append(target.detach().to(torch.int64))

    def compute(self) -> Tensor:
        """Compute the metric over all scores."""
        if isinstance(self.preds, list) and not self.preds:  # gathered from other processes, it is a tensor
            return self._value(torch.empty(0), torch.empty(0, dtype=torch.int64))
        return self._value(dim_zero_cat(self.preds), dim_zero_cat(self.target))

    def _value(self, preds: Tensor, target: Tensor) -> Tensor:
        raise NotImplementedError


class AUROC(_MembershipMetric):
    """AUROC of raw scores; see `auroc`.

    Args:
        kwargs: options of `torchmetrics.Metric`.

    Example:
        >>> metric = AUROC()
        >>> metric.update(torch.tensor([101.0, 102.0]), torch.tensor([0, 1]))
        >>> metric.update(torch.tensor([103.0, 104.0]), torch.tensor([0, 1]))
        >>> metric.compute()
        tensor(0.7500)
    """

    def _value(self, preds: Tensor, target: Tensor) -> Tensor:
        return auroc(preds, target)


class TPRAtFPR(_MembershipMetric):
    """TPR at a fixed FPR; see `tpr_at_fpr`.

    Args:
        fpr: false positive rate, 0 to 1.
        kwargs: options of `torchmetrics.Metric`.

    Example:
        >>> metric = TPRAtFPR(fpr=0.5)
        >>> metric(torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0]), torch.tensor([1, 1, 0, 1, 0]))
        tensor(1.)
    """

    def __init__(self, fpr: Rate = 0.01, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_ranges(TPRAtFPR.__init__, {"fpr": fpr}, "TPRAtFPR: ")
        self.fpr = fpr

    def _value(self, preds: Tensor, target: Tensor) -> Tensor:
        return tpr_at_fpr(preds, target, self.fpr)


class MembershipAdvantage(_MembershipMetric):
    """Membership advantage, max(TPR − FPR); see `membership_advantage`.

    Args:
        kwargs: options of `torchmetrics.Metric`.

    Example:
        >>> metric = MembershipAdvantage()
        >>> metric(torch.tensor([5.0, 4.0, 3.0, 2.0]), torch.tensor([1, 1, 0, 1]))
        tensor(0.6667)
    """

    def _value(self, preds: Tensor, target: Tensor) -> Tensor:
        return membership_advantage(preds, target)


def _compute(name: str, value: Callable[[np.ndarray, np.ndarray], float], preds: Tensor, target: Tensor) -> Tensor:
    _check(name, preds, target)
    values, members = preds.detach().cpu().to(torch.float64).numpy(), target.detach().cpu().bool().numpy()
    if members.all() or not members.any():
        kind = "non-members" if members.any() else "members"
        rank_zero_warn(f"{name} is NaN: there are no {kind} among {len(members)} scores")
        return torch.tensor(torch.nan, device=preds.device)
    return torch.tensor(value(values, members), dtype=torch.get_default_dtype(), device=preds.device)


def _check(name: str, preds: Tensor, target: Tensor) -> None:
    if preds.ndim != 1 or preds.shape != target.shape:
        raise InputError(
            f"{name}: preds has shape {tuple(preds.shape)} and target {tuple(target.shape)}; give both as (n,)"
        )
    if not torch.isfinite(preds).all():
        n_invalid = int((~torch.isfinite(preds)).sum())
        raise InputError(f"{name}: {n_invalid} of {len(preds)} scores are not finite; leave such units out")
    if target.is_floating_point() or not ((target == 0) | (target == 1)).all():
        raise InputError(f"{name}: target holds other values than 0 and 1; give bool or integers, 1 = member")
