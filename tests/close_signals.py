"""Signals of one model, asked in two ways."""

import numpy as np

from lightning_mia.signals.table import Signals


def assert_close_signals(one: Signals, other: Signals) -> None:
    """Equal but for rounding, whatever the order of the recordings."""
    assert set(one.scalars.index) == set(other.scalars.index)
    other = other.take(one.scalars.index)
    np.testing.assert_allclose(other.scalars, one.scalars, rtol=1e-5, atol=1e-7)
    scale = np.abs(one.pooled).max()
    np.testing.assert_allclose(other.pooled, one.pooled, rtol=1e-5, atol=1e-6 * scale)
