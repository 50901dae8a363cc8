from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lightning_mia.signals.runner.run import check_finite, merge
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError


def make_signals(ids: list[str], seed: int = 0) -> Signals:
    rng = np.random.default_rng(seed)
    columns = [
        "pairwise_cosine_layer0",
        "pairwise_cosine_layer1",
        "pretext_score_mask0",
        "pretext_score_mask1",
    ]
    scalars = pd.DataFrame(rng.standard_normal((len(ids), 4)), index=pd.Index(ids, dtype=object), columns=columns)
    return Signals(scalars, rng.standard_normal((len(ids), 2, 3)).astype(np.float32))


def test_saving_and_loading_is_exact(tmp_path: Path) -> None:
    signals = make_signals(["0001", "ß/2", "c"])
    signals.save(tmp_path / "signals.npz")
    again = Signals.load(tmp_path / "signals.npz")
    pd.testing.assert_frame_equal(
        again.scalars, signals.scalars, check_exact=True, check_index_type=False, check_column_type=False
    )
    assert np.array_equal(again.pooled, signals.pooled)


def test_layers_count_from_either_end() -> None:
    signals = make_signals(["a", "b"])
    assert signals.pairwise_cosine(-1).equals(signals.scalars["pairwise_cosine_layer1"])
    assert np.array_equal(signals.pooled_layer(0).to_numpy(), signals.pooled[:, 0].astype(float))
    with pytest.raises(InputError, match="Layer 2 does not exist: the model has layers 0 to 1"):
        signals.layer(2)


def test_pretext_score_is_the_mean_over_masks() -> None:
    signals = make_signals(["a", "b"])
    masks = signals.scalars[["pretext_score_mask0", "pretext_score_mask1"]]
    assert np.allclose(signals.pretext_score(), masks.to_numpy().mean(axis=1))


def test_shards_join_by_id_in_any_order() -> None:
    whole = make_signals(["a", "b", "c", "d"])
    merged = merge([whole.take(["d", "b"]), whole.take(["c", "a"])], ["a", "b", "c", "d"])
    assert merged.scalars.equals(whole.scalars)
    assert np.array_equal(merged.pooled, whole.pooled)


def test_overlapping_and_incomplete_shards_are_refused() -> None:
    whole = make_signals(["a", "b", "c"])
    for parts in (["a", "b"], ["b", "c"]), (["a"], ["b"]):
        with pytest.raises(AssertionError):
            merge([whole.take(part) for part in parts], ["a", "b", "c"])


def test_a_signal_that_is_not_finite_names_model_and_utterance() -> None:
    signals = make_signals(["a", "b", "c"])
    signals.scalars.iloc[1, 2] = np.nan
    with pytest.raises(InputError, match=r"Model target.* not finite for 1 recordings: b"):
        check_finite(signals, Path("target-123.npz"))


def test_a_damaged_file_is_reported_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "signals.npz"
    make_signals(["a", "b"]).save(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"signals.npz is damaged"):
        Signals.load(path)
