from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.lira import LiRA
from lightning_mia.attacks.scalar_signals.hidden_states import (
    BlackBoxSignal,
    CropResponse,
    EveryBlackBoxSignal,
    FrameGeometry,
    FrameSimilarity,
    ViewConsistency,
)
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError

COLUMNS = {
    "pairwise_cosine_layer0": 0.1,
    "pairwise_cosine_layer1": 0.2,
    "geometry_cos_sd_layer0": 0.3,
    "geometry_cos_sd_layer1": 0.4,
    "views_noise_pooled_layer1": 0.5,
    "views_noise_frames_layer1": 0.6,
    "views_pair0": 0.0,
    "views_pair1": 1.0,
    "crops_uniform_0": 1.0,
    "crops_uniform_1": 2.0,
    "crops_gaussian_0": 5.0,
    "crops_gaussian_1": 7.0,
}


@pytest.fixture
def signals() -> Signals:
    return Signals(pd.DataFrame([COLUMNS] * 2, index=["a", "b"]), np.zeros((2, 2, 4), np.float32))


def log_odds(s: float) -> float:
    return float(np.log(1 + s) - np.log(1 - s))


@pytest.mark.parametrize(
    ("signal", "name", "value"),
    [
        (FrameSimilarity(), "similarity", 0.2),
        (FrameSimilarity(0), "similarity_layer0", 0.1),
        (FrameGeometry(["cos_sd"]), "geometry_cos_sd", 0.4),
        (FrameGeometry(["cos_sd"], 0), "geometry_cos_sd_layer0", 0.3),
        (ViewConsistency("noise"), "view_consistency_noise", log_odds(0.5)),
        (ViewConsistency("noise", "frames"), "view_consistency_noise_frames", log_odds(0.6)),
        (ViewConsistency(), "view_consistency", (0 + log_odds(1 - 1e-6)) / 2),
        (CropResponse(), "crop_response", 1.5),
        (CropResponse("gaussian"), "crop_response_gaussian", 6.0),
    ],
)
def test_signals_of_one_number(signal: BlackBoxSignal, name: str, value: float, signals: Signals) -> None:
    read = signal.read(signals)
    assert read.shape == (2, 1) and list(read.index) == ["a", "b"]
    assert read.iloc[0, 0] == pytest.approx(value)
    assert signal.name == name and signal.access == "black-box" and signal.two_sided
    assert len(signal.groups) == (0 if name.startswith("similarity") else 1)


def test_signals_of_several_numbers(signals: Signals) -> None:
    signals.scalars["geometry_step_mean_layer1"] = 0.7
    last, everywhere = FrameGeometry(), FrameGeometry(["cos_sd"], layer=None)
    assert (last.name, last.read(signals).loc["a"].tolist()) == ("geometry", [0.4, 0.7])
    assert (everywhere.name, everywhere.read(signals).loc["a"].tolist()) == ("geometry_cos_sd_all_layers", [0.3, 0.4])
    assert FrameGeometry(layer=None).read(signals).loc["a"].tolist() == [0.3, 0.4, 0.7]


def test_every_signal_excludes_single_pairs(signals: Signals) -> None:
    every = EveryBlackBoxSignal()
    read = every.read(signals)
    left_out = {"pairwise_cosine_layer0", "pairwise_cosine_layer1", "views_pair0", "views_pair1"}
    assert set(read) == COLUMNS.keys() - left_out | {"view_consistency"} and read.columns.is_unique
    assert every.name == "black_box" and [group.name for group in every.groups] == ["geometry", "views", "crops"]


def test_missing_columns_are_named(signals: Signals) -> None:
    with pytest.raises(CannotRun, match=r"geometry_cosine_layer1, and the last layer has geometry_cos_sd_l"):
        FrameGeometry(["cosine"]).read(signals)
    with pytest.raises(CannotRun, match=r"views_gain_pooled_layer1, and"):
        ViewConsistency("gain").read(signals)
    with pytest.raises(InputError, match="view of ViewConsistency is louder: give pairs, noise, gain"):
        ViewConsistency("louder")
    with pytest.raises(InputError, match="where view is crop, but of is frames"):
        ViewConsistency("crop", "frames")


@pytest.mark.parametrize("effect", [1.0, -1.0])
def test_lira_learns_the_sign(effect: float, simulate: Callable[..., Any], auroc: Any) -> None:
    columns = ["crops_uniform_0", "pairwise_cosine_layer0", "pairwise_cosine_layer1"]
    fleet = simulate(200, 8, columns=columns, effect=effect, seed=1)
    for signal in (CropResponse(), FrameSimilarity()):
        for online in (True, False):
            assert auroc(LiRA(signal, online).score(fleet.evidence), fleet.members) > 0.65
