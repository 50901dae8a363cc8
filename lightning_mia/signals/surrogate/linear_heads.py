"""Linear heads, fitted in closed form and cross-fitted: of every fold, a head that did not see it."""

from __future__ import annotations

import torch
from torch import Tensor


class FoldSums:
    """Sums over frames from which linear heads follow, fold by fold; frames themselves are not kept.

    Args:
        folds: number of folds.
        inputs: numbers in an input, a constant not counted.
        targets: numbers in a target.
        device: of the sums.
    """

    def __init__(self, folds: int, inputs: int, targets: int, device: torch.device | str = "cpu") -> None:
        self.squares = torch.zeros(folds, inputs + 1, inputs + 1, dtype=torch.float64, device=device)
        self.products = torch.zeros(folds, inputs + 1, targets, dtype=torch.float64, device=device)

    def add(self, fold: Tensor, inputs: Tensor, targets: Tensor) -> None:
        """Take in frames: their fold (n,) int64, inputs (n, inputs), targets (n, targets)."""
        x, y = with_constant(inputs.double()), targets.double()
        for one in fold.unique().tolist():
            rows = fold == one
            self.squares[one] += x[rows].T @ x[rows]
            self.products[one] += x[rows].T @ y[rows]

    def without_each(self) -> tuple[Tensor, Tensor]:
        """Sums over all folds but one: (folds, inputs + 1, inputs + 1) and (folds, inputs + 1, targets)."""
        return self.squares.sum(dim=0) - self.squares, self.products.sum(dim=0) - self.products


def with_constant(inputs: Tensor) -> Tensor:
    """(…, inputs) → (…, inputs + 1), the last of which is 1."""
    return torch.cat([inputs, torch.ones_like(inputs[..., :1])], dim=-1)


def ridge(squares: Tensor, products: Tensor, strength: float) -> Tensor:
    """Ridge regression, whose penalty is relative to the scale of every input; the constant has none.

    Args:
        squares: (…, inputs + 1, inputs + 1) float64, sums of x xᵀ, the last input being 1.
        products: (…, inputs + 1, targets) float64, sums of x yᵀ.
        strength: what is added to every input's sum of squares, as a fraction of it.

    Returns:
        (…, inputs + 1, targets) float64.
    """
    penalty = strength * torch.diagonal(squares, dim1=-2, dim2=-1).clone()
    penalty += 1e-9 * penalty.mean(dim=-1, keepdim=True) + 1e-12  # an input that is always 0 has weight 0
    penalty[..., -1] = 0.0
    return torch.linalg.solve(squares + torch.diag_embed(penalty), products)


def discriminant(squares: Tensor, products: Tensor, strength: float) -> Tensor:
    """Linear discriminant analysis: logits of classes that are Gaussian with one common covariance.

    Args:
        squares: as in `ridge`.
        products: the same, y being one-hot.
        strength: what is added to every input's variance within classes, as a fraction of it.

    Returns:
        (…, inputs + 1, classes) float64; of a softmax over classes.
    """
    counts = products[..., -1, :]  # (…, classes)
    total = counts.sum(dim=-1, keepdim=True).unsqueeze(-1)  # (…, 1, 1)
    means = products[..., :-1, :] / counts.clamp(min=1.0).unsqueeze(-2)  # (…, inputs, classes)
    within = (squares[..., :-1, :-1] - products[..., :-1, :] @ means.transpose(-1, -2)) / total
    spread = torch.diagonal(within, dim1=-2, dim2=-1).clamp(min=0.0)
    floor = 1e-9 * spread.mean(dim=-1, keepdim=True) + 1e-12
    slopes = torch.linalg.solve(within + torch.diag_embed(strength * spread + floor), means)
    shares = (counts + 1.0) / (counts + 1.0).sum(dim=-1, keepdim=True)  # a class may be missing in a fold
    constants = shares.log() - (slopes * means).sum(dim=-2) / 2
    return torch.cat([slopes, constants.unsqueeze(-2)], dim=-2)
