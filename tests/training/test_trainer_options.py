"""Trainer options: which are refused, and which change the hash of a training."""

from typing import Any

import pytest
from lightning.pytorch.callbacks import GradientAccumulationScheduler

from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.training.trainer_options import DEFAULTS, NOT_FINGERPRINTED, fingerprint
from lightning_mia.utilities.errors import InputError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit_train_batches", value) for value in (0, 1, 0.0, 0.5, 7)),
        *(("limit_predict_batches", value) for value in (0, 1, 0.0, 0.5)),
        *(("overfit_batches", value) for value in (1, 0.5)),
        *(("fast_dev_run", value) for value in (True, 1, 3)),
    ],
)
def test_options_that_omit_recordings_are_refused(name: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"trainer\.{name} omits recordings"):
        TrainerFactory({name: value})


@pytest.mark.parametrize("name", ["limit_train_batches", "limit_predict_batches"])
def test_all_batches_are_no_limit(name: str) -> None:
    assert TrainerFactory({name: 1.0, "overfit_batches": 0.0, "fast_dev_run": False}).options[name] == 1.0


def test_false_and_zero_are_hashed_as_given() -> None:
    assert fingerprint({"max_epochs": 0}) == {"max_epochs": 0, "callbacks": []}
    assert fingerprint({"gradient_clip_val": 0.0})["gradient_clip_val"] == 0.0
    assert fingerprint({"accumulate_grad_batches": 0})["accumulate_grad_batches"] == 0
    assert fingerprint({"max_steps": 0})["max_steps"] == 0


def test_defaults_keep_the_hash_of_earlier_versions() -> None:
    """Earlier versions left out whatever was false, and kept the rest."""
    earlier = {name: value for name, value in DEFAULTS.items() if name not in NOT_FINGERPRINTED and value}
    assert fingerprint(DEFAULTS) == {**earlier, "callbacks": []}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"precision": 32}, {"precision": "32-true"}),
        ({"precision": None}, {"precision": "32"}),
        ({"precision": "bf16"}, {"precision": "bf16-mixed"}),
        ({"gradient_clip_val": 1}, {"gradient_clip_val": 1.0, "gradient_clip_algorithm": "norm"}),
        ({"deterministic": False}, {}),
    ],
)
def test_equal_settings_have_equal_hashes(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert fingerprint(one) == fingerprint(other)


def test_a_callback_is_hashed_with_its_tables() -> None:
    one, other = (fingerprint({"callbacks": GradientAccumulationScheduler({0: every})}) for every in (2, 4))
    assert one["callbacks"][0]["scheduling"] == {0: 2}
    assert one != other
