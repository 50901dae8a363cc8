"""Arrays of a caller, checked: signals of target and shadow models.

The functions `attacks.lira`, `attacks.rmia`, … and the classes of the same attacks share this convention: target (n,),
shadows (K, n), inside (K, n) bool; NumPy arrays or torch tensors.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_mia.attacks.shadow_models.in_out import check_in_and_out
from lightning_mia.utilities.errors import InputError

Array = TypeVar("Array", np.ndarray, Tensor)

MIN_SHADOWS = 2


@dataclass(frozen=True)
class ShadowArrays:
    """Signals of n units under the target and K shadow models.

    Attributes:
        target: (n,) float64, or (n, d).
        shadows: (K, n) float64, or (K, n, d).
        inside: (K, n) bool, the unit is IN for the shadow model.
    """

    target: np.ndarray
    shadows: np.ndarray
    inside: np.ndarray


def read_arrays(
    attack: str,
    target: ArrayLike | Tensor,
    shadows: ArrayLike | Tensor,
    inside: ArrayLike | Tensor | None,
    *,
    online: bool,
    multivariate: bool = False,
    min_shadows: int = MIN_SHADOWS,
) -> ShadowArrays:
    """Convert and check the arrays of an attack.

    Args:
        attack: its name, for messages.
        target: (n,), higher for members.
        shadows: (K, n), K at least `min_shadows`.
        inside: (K, n) bool; None: all shadow models are OUT for all units.
        online: whether every unit needs an IN shadow model.
        multivariate: whether target may be (n, d), and shadows (K, n, d).
        min_shadows: fewest shadow models, or reference models.

    Raises:
        InputError: a shape or type is not as stated, or a number is not finite.
        CannotRun: a unit has no OUT shadow model, or none that is IN if `online`.
    """
    where = f"attacks.{attack}"
    signals, others = read_numbers(f"{where}: target", target), read_numbers(f"{where}: shadows", shadows)
    if signals.ndim != 1 and not (multivariate and signals.ndim == 2):
        also = " or (n, d)" if multivariate else ""
        raise InputError(f"{where}: target has shape {signals.shape}; give one number per unit, shape (n,){also}")
    if others.ndim != signals.ndim + 1 or others.shape[1:] != signals.shape:
        expected = "(K, n)" if signals.ndim == 1 else "(K, n, d)"
        raise InputError(
            f"{where}: shadows has shape {others.shape}, but target {signals.shape}; give one row per shadow model, "
            f"shape {expected}"
        )
    if len(others) < min_shadows:
        raise InputError(
            f"{where}: shadows holds {len(others)} shadow model{'' if len(others) == 1 else 's'}; give at least "
            f"{min_shadows}, shape (K, n)"
        )
    if not len(signals):
        raise InputError(f"{where}: target is empty; give one number per unit")
    masks = np.zeros(others.shape[:2], dtype=bool) if inside is None else _as_numpy(inside)
    if masks.dtype != bool:
        raise InputError(
            f"{where}: inside is {masks.dtype}, not bool; give a mask, such as `inside == 1`, that is True where the "
            "unit was trained on by the shadow model"
        )
    if masks.shape != others.shape[:2]:
        raise InputError(f"{where}: inside has shape {masks.shape}, but shadows {others.shape}; give both as (K, n)")
    check_in_and_out(pd.RangeIndex(len(signals)), masks, online)
    return ShadowArrays(signals, others, masks)


def read_numbers(name: str, values: ArrayLike | Tensor) -> np.ndarray:
    """Convert numbers to float64.

    Args:
        name: what the message begins with.
        values: of any shape.

    Raises:
        InputError: they are not numbers, or one is not finite.

    >>> read_numbers("scores", torch.tensor([1, 2]))
    array([1., 2.])
    """
    array = _as_numpy(values)
    if array.dtype.kind not in "fiu":
        kind = "text" if array.dtype.kind in "USO" else str(array.dtype)
        raise InputError(f"{name}: expected numbers, but got {kind}; give an array of floats")
    array = array.astype(np.float64, copy=False)
    invalid = ~np.isfinite(array)
    if invalid.any():
        first = tuple(np.argwhere(invalid)[0].tolist())
        raise InputError(
            f"{name}: {int(invalid.sum())} of {array.size} numbers are not finite, the first at index "
            f"{first[0] if len(first) == 1 else first}; leave such units out"
        )
    return array


def as_given(scores: np.ndarray, target: Any) -> Any:
    """Return scores in the type of the target.

    Args:
        scores: (n,) float64.
        target: what the caller gave; a torch tensor gives a tensor on the same device.
    """
    return torch.from_numpy(scores).to(target.device) if isinstance(target, Tensor) else scores


def complementary_pairs(inside: np.ndarray) -> np.ndarray:
    """Number the complementary pairs of shadow models.

    Two models are a pair if every unit is IN for exactly one of them; a model without partner is alone in its pair.

    Args:
        inside: (K, n) bool.

    Returns:
        (K,) int.

    >>> complementary_pairs(np.array([[True, False], [True, True], [False, True]]))
    array([0, 1, 0])
    """
    waiting: dict[bytes, list[int]] = {}
    pairs = np.empty(len(inside), dtype=int)
    for model, row in enumerate(inside):
        partners = waiting.get((~row).tobytes())
        pairs[model] = pairs[partners.pop(0)] if partners else model
        if pairs[model] == model:
            waiting.setdefault(row.tobytes(), []).append(model)
    return pairs


def _as_numpy(values: ArrayLike | Tensor) -> np.ndarray:
    try:
        return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    except (TypeError, ValueError) as error:  # rows of unequal length
        raise InputError(f"The array cannot be read ({error}); give rows of equal length") from error
