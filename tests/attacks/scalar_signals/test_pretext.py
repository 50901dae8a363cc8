from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks.lira import LiRA
from lightning_mia.attacks.scalar_signals.base import ScalarSignal
from lightning_mia.attacks.scalar_signals.pretext import MaskByMask, PerturbedLoss, PretextDetail, TaskScore
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError

COLUMNS = {
    "pretext_score_mask0": 1.0,
    "pretext_score_mask1": 2.0,
    "pretext_details_early": 3.0,
    "pretext_details_middle": 4.0,
    "pretext_details_late": 5.0,
    "pretext_details_short_spans": 6.0,
    "pretext_details_long_spans": 7.0,
    "perturbed_pretext_score_noise": 8.0,
    "perturbed_pretext_score_shift": 9.0,
    "perturbed_pretext_score_band": 10.0,
    "ctc_score": 11.0,
}


@pytest.mark.parametrize(
    ("signal", "name", "values"),
    [
        (MaskByMask(), "mask_by_mask", [1, 2]),
        (PretextDetail(), "pretext_by_parts", [3, 4, 5]),
        (PretextDetail("spans"), "pretext_by_spans", [6, 7]),
        (PerturbedLoss(), "perturbed_loss", [8]),
        (PerturbedLoss(("band", "noise")), "perturbed_loss_band_noise", [10, 8]),
        (TaskScore(), "ctc_score", [11]),
        (TaskScore("pretext_score"), "pretext_score", [1.5]),
    ],
)
def test_signals_read_their_columns(signal: ScalarSignal, name: str, values: list[float]) -> None:
    signals = Signals(pd.DataFrame([COLUMNS], index=["a"]), np.zeros((1, 1, 1), np.float32))
    assert signal.read(signals).loc["a"].tolist() == values
    assert signal.name == name and signal.access == "grey-box" and signals.has(signal.needs_signal)


def test_unknown_views_raise() -> None:
    with pytest.raises(InputError, match=r"views of PerturbedLoss are \['gain'\]: give some of band, noise, shift"):
        PerturbedLoss(("gain",))
    with pytest.raises(InputError, match="PerturbedLoss"):
        PerturbedLoss(())


def test_joint_masks_are_no_worse_than_their_mean(simulate: Callable[..., Any], auroc: Any) -> None:
    """Half of the masks are uninformative; their mean gives them equal weight."""
    columns = [f"pretext_score_mask{i}" for i in range(4)]
    fleet = simulate(400, 16, columns=columns, effect=[1.0, 1.0, 0.0, 0.0], seed=2)
    jointly = auroc(LiRA(MaskByMask()).score(fleet.evidence), fleet.members)
    assert jointly > auroc(LiRA().score(fleet.evidence), fleet.members) + 0.02
