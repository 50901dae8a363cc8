from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks.lira import LiRA
from lightning_mia.attacks.scalar_signals.base import JointSignal, PretextScore
from lightning_mia.attacks.scalar_signals.hidden_states import CropResponse, FrameSimilarity, ViewConsistency
from lightning_mia.attacks.scalar_signals.pretext import PerturbedLoss
from lightning_mia.attacks.surrogate_head import SurrogateHeadScore
from lightning_mia.signals.surrogate_pretext import SurrogateHead
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError


def test_columns_are_joined_without_duplicates() -> None:
    table = pd.DataFrame({"pairwise_cosine_layer0": [0.5], "pairwise_cosine_layer1": [0.7]}, index=["a"])
    signals = Signals(table, np.zeros((1, 2, 1), np.float32))
    joint = JointSignal([FrameSimilarity(0), FrameSimilarity(), FrameSimilarity(1)], "layers")
    assert joint.name == "layers"
    pd.testing.assert_frame_equal(joint.read(signals), table)


def test_requirements_are_those_of_the_signals() -> None:
    black_box = JointSignal([CropResponse(), ViewConsistency(), ViewConsistency("noise"), FrameSimilarity()], "all")
    assert black_box.access == "black-box" and black_box.two_sided and not black_box.needs_signal
    assert [group.name for group in black_box.groups] == ["crops", "views"]
    grey = JointSignal([FrameSimilarity(), PerturbedLoss(), PretextScore()], "grey")
    assert grey.access == "grey-box" and grey.needs_signal == "pretext_score"
    open_weights = JointSignal([FrameSimilarity(), SurrogateHeadScore(SurrogateHead(filling=None))], "open")
    assert open_weights.access == "open-weights"
    assert not JointSignal([PretextScore(), PretextScore()], "twice").two_sided


def test_too_few_signals_or_an_empty_label_raise() -> None:
    with pytest.raises(InputError, match="The joint signal alone has 1 signals: give 2 or more"):
        JointSignal([PretextScore()], "alone")
    with pytest.raises(InputError, match="has no label"):
        JointSignal([PretextScore(), FrameSimilarity()], "")


@pytest.mark.parametrize("online", [True, False])
def test_joint_signal_separates_better_than_its_parts(online: bool, simulate: Callable[..., Any], auroc: Any) -> None:
    columns = ["crops_uniform_0", "pairwise_cosine_layer0", "pairwise_cosine_layer1"]
    fleet = simulate(400, 16, columns=columns, effect=[1.0, 0.0, -1.0], seed=1)
    joint = auroc(
        LiRA(JointSignal([CropResponse(), FrameSimilarity()], "both"), online).score(fleet.evidence), fleet.members
    )
    for signal in (CropResponse(), FrameSimilarity()):
        assert joint > auroc(LiRA(signal, online).score(fleet.evidence), fleet.members) + 0.03
