"""Attacks that cannot run are refused before anything is trained."""

import pandas as pd
import pytest

from lightning_mia.attacks import CTCLoss, LiRA, PretextLoss
from lightning_mia.attacks.base import Attack
from lightning_mia.attacks.runner.requirements import check_some_can_run
from lightning_mia.models import TERA, MelHuBERT
from lightning_mia.splits import Split, UtteranceDesign
from lightning_mia.utilities.errors import InputError

MODEL = TERA(n_layers=1, dim=16, n_heads=2, feedforward_dim=32)


def split(n_shadows: int = 0) -> Split:
    ids = [f"{number:02d}" for number in range(40)]
    table = pd.DataFrame({"id": ids, "speaker": ["Ann", "Bob"] * 20})
    return UtteranceDesign(n_units=32, n_auxiliary=8).draw(table, {name: name for name in ids}, n_shadows=n_shadows)


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        (LiRA(), r"lira needs \d+ shadow models, and there are none \(--fleet\.size\)"),
        (CTCLoss(), "ctc_loss needs the ctc score of the model, which has none"),
    ],
)
def test_attacks_are_refused_if_none_can_run(attack: Attack, reason: str) -> None:
    with pytest.raises(InputError, match=f"^No attack can give a verdict: {reason}; choose other attacks$"):
        check_some_can_run([attack], MODEL, split())
    check_some_can_run([attack, PretextLoss()], MODEL, split())


def test_enough_shadow_models_and_targets_to_be_fitted_are_no_obstacle() -> None:
    check_some_can_run([LiRA()], MODEL, split(n_shadows=16))
    check_some_can_run([PretextLoss()], MelHuBERT(n_layers=1, dim=16, n_heads=2, feedforward_dim=32), split())
