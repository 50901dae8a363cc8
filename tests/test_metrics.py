"""Metrics for torchmetrics: against scikit-learn, batch by batch, and on two processes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score, roc_curve
from torch import multiprocessing

from lightning_mia.metrics import AUROC, MembershipAdvantage, TPRAtFPR, auroc, membership_advantage, tpr_at_fpr
from lightning_mia.utilities.errors import InputError

FUNCTIONS = [auroc, tpr_at_fpr, membership_advantage]
METRICS = [AUROC, TPRAtFPR, MembershipAdvantage]


def scores(n: int = 200, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Raw scores, with ties, far outside [0, 1]."""
    rng = np.random.default_rng(seed)
    members = rng.random(n) < 0.4
    return torch.from_numpy(100 + np.round(rng.normal(members), 1)), torch.from_numpy(members)


def expected(name: str, preds: torch.Tensor, target: torch.Tensor, fpr: float = 0.01) -> float:
    fprs, tprs, _ = roc_curve(target.numpy(), preds.numpy(), drop_intermediate=False)
    return {
        "auroc": roc_auc_score(target.numpy(), preds.numpy()),
        "tpr_at_fpr": max(tpr for f, tpr in zip(fprs, tprs, strict=True) if f <= fpr),
        "membership_advantage": (tprs - fprs).max(),
    }[name]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_values_equal_those_of_scikit_learn(function) -> None:  # type: ignore[no-untyped-def]
    preds, target = scores()
    assert function(preds, target).item() == pytest.approx(expected(function.__name__, preds, target), abs=1e-6)


@pytest.mark.parametrize("fpr", [0.0, 0.05, 0.3, 1.0])
def test_tpr_at_every_rate(fpr: float) -> None:
    preds, target = scores()
    assert tpr_at_fpr(preds, target, fpr).item() == pytest.approx(expected("tpr_at_fpr", preds, target, fpr), abs=1e-6)


@pytest.mark.parametrize(("metric", "function"), list(zip(METRICS, FUNCTIONS, strict=True)))
def test_batches_give_the_value_of_all_scores(metric, function) -> None:  # type: ignore[no-untyped-def]
    preds, target = scores()
    instance = metric()
    for rows in torch.arange(200).split(30):
        instance.update(preds[rows], target[rows].int())
    assert instance.compute() == function(preds, target)
    instance.reset()
    with pytest.warns(UserWarning, match="no members among 0 scores"):
        assert instance.compute().isnan()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("label", "missing"), [(True, "non-members"), (False, "members")])
def test_one_class_has_no_value(function, label: bool, missing: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.warns(UserWarning, match=f"no {missing} among 3 scores"):
        assert function(torch.arange(3.0), torch.full((3,), label)).isnan()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("preds", "target", "message"),
    [
        (torch.ones(3), torch.ones(2, dtype=torch.bool), r"preds has shape \(3,\) and target \(2,\)"),
        (torch.ones(3, 1), torch.ones(3, 1, dtype=torch.bool), r"give both as \(n,\)"),
        (torch.tensor([1.0, torch.nan]), torch.tensor([0, 1]), "1 of 2 scores are not finite"),
        (torch.ones(2), torch.tensor([0, 2]), "other values than 0 and 1"),
        (torch.ones(2), torch.tensor([0.0, 1.0]), "give bool or integers"),
    ],
)
def test_bad_input_is_refused(function, preds: torch.Tensor, target: torch.Tensor, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        function(preds, target)


def test_a_rate_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="fpr is 2: give 0 to 1"):
        TPRAtFPR(fpr=2)


def gather(rank: int, folder: str) -> None:
    """Compute each metric on two processes, which hold 150 and 50 of the scores."""
    torch.distributed.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2)
    preds, target = scores()
    rows = slice(0, 150) if rank == 0 else slice(150, 200)
    values = []
    for metric in (AUROC(), TPRAtFPR(fpr=0.1), MembershipAdvantage()):
        for batch in zip(preds[rows].split(40), target[rows].split(40), strict=True):
            metric.update(*batch)
        values.append(metric.compute())
    torch.save(torch.stack(values), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_give_the_value_of_all_scores(tmp_path: Path) -> None:
    multiprocessing.spawn(gather, args=(str(tmp_path),), nprocs=2)
    preds, target = scores()
    whole = [auroc(preds, target), tpr_at_fpr(preds, target, 0.1), membership_advantage(preds, target)]
    for rank in range(2):
        assert torch.equal(torch.load(tmp_path / f"{rank}.pt"), torch.stack(whole))
