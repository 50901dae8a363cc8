"""Linear heads, fitted in closed form and cross-fitted over folds."""

from __future__ import annotations

import torch
from torch import Tensor


class FoldSums:
    """Sufficient statistics of linear heads, fold by fold.

    Frames are not stored.

    Args:
        folds: number of folds.
        inputs: dimension of an input, without the constant.
        targets: dimension of a target.
        device: device of the sums.
    """

    def __init__(self, folds: int, inputs: int, targets: int, device: torch.device | str = "cpu") -> None:
        self.squares = torch.zeros(folds, inputs + 1, inputs + 1, dtype=torch.float64, device=device)
        self.products = torch.zeros(folds, inputs + 1, targets, dtype=torch.float64, device=device)

    def add(self, fold: Tensor, inputs: Tensor, targets: Tensor) -> None:
        """Add frames to the sums of their folds.

        Shapes: fold (n,) int64, inputs (n, inputs), targets (n, targets).
        """
        x, y = with_constant(inputs.double()), targets.double()
        for number in fold.unique().tolist():
            rows = fold == number
            self.squares[number] += x[rows].T @ x[rows]
            self.products[number] += x[rows].T @ y[rows]

    def leave_one_out(self) -> tuple[Tensor, Tensor]:
        """Sum all folds but one, for each fold left out.

        Shapes: (folds, inputs + 1, inputs + 1) and (folds, inputs + 1, targets).
        """
        return self.squares.sum(dim=0) - self.squares, self.products.sum(dim=0) - self.products


def with_constant(inputs: Tensor) -> Tensor:
    """Append a constant input of 1.

    (…, inputs) → (…, inputs + 1).
    """
    return torch.cat([inputs, torch.ones_like(inputs[..., :1])], dim=-1)


def ridge(squares: Tensor, products: Tensor, strength: float) -> Tensor:
    """Fit ridge regression with a scale-free penalty.

    The constant is not penalised.

    Args:
        squares: (…, inputs + 1, inputs + 1) float64, sums of x xᵀ; the last input is 1.
        products: (…, inputs + 1, targets) float64, sums of x yᵀ.
        strength: penalty of each input, as a fraction of its sum of squares.

    Returns:
        (…, inputs + 1, targets) float64.
    """
    penalty = strength * torch.diagonal(squares, dim1=-2, dim2=-1).clone()
    penalty += 1e-9 * penalty.mean(dim=-1, keepdim=True) + 1e-12  # an input that is always 0 has weight 0
    penalty[..., -1] = 0.0
    return torch.linalg.solve(squares + torch.diag_embed(penalty), products)


def discriminant(squares: Tensor, products: Tensor, strength: float) -> Tensor:
    """Fit linear discriminant analysis: Gaussian classes with a common covariance.

    Args:
        squares: as in `ridge`.
        products: as in `ridge`, with one-hot y.
        strength: shrinkage of each input, as a fraction of its variance within classes.

    Returns:
        (…, inputs + 1, classes) float64, weights of the logits.
    """
    counts = products[..., -1, :]  # (…, classes)
    total = counts.sum(dim=-1, keepdim=True).unsqueeze(-1)  # (…, 1, 1)
    means = products[..., :-1, :] / counts.clamp(min=1.0).unsqueeze(-2)  # (…, inputs, classes)
    within = (squares[..., :-1, :-1] - products[..., :-1, :] @ means.transpose(-1, -2)) / total
    spread = torch.diagonal(within, dim1=-2, dim2=-1).clamp(min=0.0)
    floor = 1e-9 * spread.mean(dim=-1, keepdim=True) + 1e-12
    slopes = torch.linalg.solve(within + torch.diag_embed(strength * spread + floor), means)
    smoothed = counts + 1.0  # add-one smoothing: a class may be missing in a fold
    shares = smoothed / smoothed.sum(dim=-1, keepdim=True)
    constants = shares.log() - (slopes * means).sum(dim=-2) / 2
    return torch.cat([slopes, constants.unsqueeze(-2)], dim=-2)
