"""Labels of a grid's cells, and columns of its table."""

from typing import Any

Label = str | int | float | bool


COSTS = (
    *("utility_probe", "utility_probe_lo", "utility_probe_hi", "utility_untrained", "utility_pretext"),
    *("epsilon", "epsilon_shown"),
)
"""Columns of what a defence costs and proves; a table of an earlier version has none of them."""


PRETEXT_LOSS = "pretext_loss"
"""The attack whose scores on non-members say how well the target does its own task on speech that it has not seen."""


def label_in(value: Any) -> Label:
    """The label that a value of a table stands for: a table has numbers of NumPy's own types.

    >>> import numpy as np
    >>> label_in(np.int64(3)), label_in("small")
    (3, 'small')
    """
    label: Label = value.item() if hasattr(value, "item") else value
    return label


def text_of(label: Label) -> str:
    """A label as it is written.

    >>> text_of(True), text_of(0.5), text_of("small")
    ('true', '0.5', 'small')
    """
    return str(label).lower() if isinstance(label, bool) else str(label)


def checkpoint_of(trained_as: str) -> str:
    """The checkpoint alone, of a label of the results table.

    >>> checkpoint_of("epoch 5 of 20 of size=100,epochs=20/seed=1")
    'epoch 5 of 20'
    """
    return " ".join(trained_as.replace(",", " ").split()[:4])
