from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks.classifiers.examples import read_columns, read_jointly, shadow_examples
from lightning_mia.attacks.scalar_signals.neighbours import NearestNeighbours, read_neighbourhood
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError

SPEAKERS = ["x", "x", "x", "y", "y", "z", "w"]  # z and w have a single recording


@pytest.fixture
def signals() -> Signals:
    rng = np.random.default_rng(0)
    ids = [f"q{i}" for i in range(7)] + [f"r{i}" for i in range(6)]
    pooled = (rng.standard_normal((13, 2, 5)) + 2).astype(np.float32)
    return Signals(pd.DataFrame({"pairwise_cosine_layer0": 0.0}, index=ids), pooled)


@pytest.fixture
def recordings() -> pd.DataFrame:
    ids = [f"q{i}" for i in range(7)]
    return pd.DataFrame({"id": ids, "unit_id": ids, "speaker": SPEAKERS}).iloc[::-1].reset_index(drop=True)


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def test_statistics_equal_slow_ones(signals: Signals, recordings: pd.DataFrame) -> None:
    auxiliary = pd.DataFrame({"id": ["r1", "r0", "r2", "r3", "not_asked"]})
    found = read_neighbourhood(auxiliary, k=2, layer=0)(signals, recordings)
    vectors = signals.pooled[:, 0].astype(float)
    centre = vectors[:7].mean(axis=0)
    for i in range(7):

        def alike(j: int, i: int = i) -> float:
            return cosine(vectors[i] - centre, vectors[j] - centre)

        own = [alike(j) for j in range(7) if j != i and SPEAKERS[j] == SPEAKERS[i]]
        imposters = [alike(j) for j in range(7) if SPEAKERS[j] != SPEAKERS[i]]
        row = found.loc[f"q{i}"]
        assert row["neighbours_auxiliary"] == pytest.approx(np.mean(sorted(alike(j) for j in range(7, 11))[-2:]))
        assert row["neighbours_imposter_mean"] == pytest.approx(np.mean(imposters))
        assert row["neighbours_imposter_nearest"] == pytest.approx(np.mean(sorted(imposters)[-2:]))
        if own:
            assert row["neighbours_speaker_mean"] == pytest.approx(np.mean(own))
            assert row["neighbours_speaker_nearest"] == pytest.approx(max(own))
            assert row["neighbours_rank"] == pytest.approx(np.mean([one < np.mean(own) for one in imposters]))
        else:
            speaker = row[["neighbours_speaker_mean", "neighbours_speaker_nearest", "neighbours_rank"]]
            assert speaker.isna().all()


def test_without_auxiliary_recordings_their_column_is_missing(signals: Signals, recordings: pd.DataFrame) -> None:
    found = read_neighbourhood(pd.DataFrame({"id": []}))(signals, recordings)
    assert "neighbours_auxiliary" not in found and len(found.columns) == 5


@pytest.mark.parametrize("k", [1, 3, 50])
def test_nearest_of_all_recordings(k: int, signals: Signals) -> None:
    found = NearestNeighbours(k, layer=1).read(signals)
    away = signals.pooled[:, 1].astype(float)
    away = away - away.mean(axis=0)
    for i, name in enumerate(signals.scalars.index):
        others = sorted(cosine(away[i], away[j]) for j in range(13) if j != i)
        assert found.loc[name].item() == pytest.approx(np.mean(others[-k:]))


def test_name_and_refusal() -> None:
    assert NearestNeighbours().name == "neighbours" and NearestNeighbours(3, 1).name == "neighbours_k3_layer1"
    with pytest.raises(InputError, match="k of NearestNeighbours is 0"):
        NearestNeighbours(0)


def test_a_learned_attack_can_read_it(planted_fleet: Callable[..., Any]) -> None:
    evidence = planted_fleet(24, 4, columns=["views_pair00"], clips=4).evidence
    reader = read_jointly(read_columns("views_.*"), read_neighbourhood(evidence.auxiliary))
    examples = shadow_examples(evidence, reader, calibrated=True)
    assert examples.columns[:2] == ["views_pair00", "neighbours_auxiliary"] and len(examples.columns) == 7
