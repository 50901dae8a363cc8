"""Labels of factor values, and columns of a grid's table."""

from typing import Any

Label = str | int | float | bool

COST_COLUMNS = (
    *("utility_probe", "utility_probe_lo", "utility_probe_hi", "utility_untrained", "utility_pretext"),
    *("epsilon", "epsilon_shown"),
)
"""Columns of utility and privacy; tables of earlier versions lack them."""

PRETEXT_LOSS = "pretext_loss"
"""Attack whose scores on non-members are the held-out pretext scores."""


def to_label(value: Any) -> Label:
    """Convert a table's value, which may be a NumPy scalar.

    >>> import numpy as np
    >>> to_label(np.int64(3)), to_label("small")
    (3, 'small')
    """
    label: Label = value.item() if hasattr(value, "item") else value
    return label


def label_text(label: Label) -> str:
    """Format a label.

    >>> label_text(True), label_text(0.5), label_text("small")
    ('true', '0.5', 'small')
    """
    return str(label).lower() if isinstance(label, bool) else str(label)


def checkpoint_label(trained_as: str) -> str:
    """Return the checkpoint part of the column `trained_as`.

    >>> checkpoint_label("epoch 5 of 20 of size=100,epochs=20/seed=1")
    'epoch 5 of 20'
    """
    return " ".join(trained_as.replace(",", " ").split()[:4])
