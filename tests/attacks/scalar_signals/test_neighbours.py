import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks.scalar_signals.neighbours import NearestNeighbours
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError


@pytest.fixture
def signals() -> Signals:
    rng = np.random.default_rng(0)
    ids = [f"q{i}" for i in range(7)] + [f"r{i}" for i in range(6)]
    pooled = (rng.standard_normal((13, 2, 5)) + 2).astype(np.float32)
    return Signals(pd.DataFrame({"pairwise_cosine_layer0": 0.0}, index=ids), pooled)


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


@pytest.mark.parametrize("k", [1, 3, 50])
def test_signal_equals_loop_over_all_recordings(k: int, signals: Signals) -> None:
    values = NearestNeighbours(k, layer=1).read(signals)
    centred = signals.pooled[:, 1].astype(float)
    centred = centred - centred.mean(axis=0)
    for i, name in enumerate(signals.scalars.index):
        others = sorted(cosine(centred[i], centred[j]) for j in range(13) if j != i)
        assert values.loc[name].item() == pytest.approx(np.mean(others[-k:]))


def test_name_and_invalid_k() -> None:
    assert NearestNeighbours().name == "neighbours" and NearestNeighbours(3, 1).name == "neighbours_k3_layer1"
    with pytest.raises(InputError, match=r"NearestNeighbours\.k is 0"):
        NearestNeighbours(0)
