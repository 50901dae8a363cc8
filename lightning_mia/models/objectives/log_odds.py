"""Log-odds of the true target, without overflow or saturation."""

import torch
import torch.nn.functional as F
from torch import Tensor

MIN_LOSS = 1e-12  # above the rounding of float64, so that log-odds stay finite


def log_probability(true: Tensor, others: Tensor) -> Tensor:
    """Compute the log softmax probability of the true class.

    With z = true − logsumexp(others) it is −softplus(−z), which is accurate for probabilities close to 0 and to 1.

    Args:
        true: (…) logit of the true class.
        others: (…, n) logits of all other classes.

    Returns:
        (…) float64.
    """
    return F.logsigmoid(true.double() - others.double().logsumexp(dim=-1))


def log_odds(log_p: Tensor) -> Tensor:
    """Compute the log-odds from log p.

    They are log p − log(1 − p).

    Example:
        >>> [round(float(x), 6) for x in log_odds(torch.tensor([0.25, 0.5]).double().log())]
        [-1.098612, 0.0]
    """
    return log_p - (-log_p.expm1()).log()


def log_odds_of_loss(loss: Tensor) -> Tensor:
    """Compute the log-odds of the geometric mean probability.

    They rank as −loss does, but do not saturate at 0 for well-learned targets.

    Args:
        loss: (…) float64, mean negative log-probability of a character, token or frame.

    Example:
        >>> [round(float(x), 6) for x in log_odds_of_loss(-torch.tensor([0.25, 0.5]).double().log())]
        [-1.098612, 0.0]
    """
    return log_odds(-loss.clamp(min=MIN_LOSS))


def log_odds_of_mean(logits: Tensor, targets: Tensor, masks: Tensor) -> Tensor:
    """Compute the log-odds of the target's geometric mean probability.

    The geometric mean is p̄ = exp(−loss). The arithmetic mean separates members from non-members much worse (AUROC .81
    against .87 in one experiment): it hardly reacts to a frame whose target gets almost no probability, which is
    typical of non-members.

    Args:
        logits: (batch, frames, classes).
        targets: (batch, frames) int64.
        masks: (batch, frames) bool.

    Returns:
        (batch,) float64.
    """
    targets = targets.unsqueeze(2)
    others = logits.double().scatter(2, targets, -torch.inf)
    log_p = log_probability(logits.gather(2, targets).squeeze(2), others)  # (batch, frames)
    return log_odds((log_p * masks).sum(dim=1) / masks.sum(dim=1))
