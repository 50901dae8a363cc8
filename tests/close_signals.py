"""Compare the signals of one model, computed in two ways."""

import numpy as np

from lightning_mia.signals.table import Signals


def assert_close_signals(first: Signals, second: Signals) -> None:
    """Check equality up to rounding and the order of recordings."""
    assert set(first.scalars.index) == set(second.scalars.index)
    second = second.take(first.scalars.index)
    np.testing.assert_allclose(second.scalars, first.scalars, rtol=1e-5, atol=1e-7)
    scale = np.abs(first.pooled).max()
    np.testing.assert_allclose(second.pooled, first.pooled, rtol=1e-5, atol=1e-6 * scale)
