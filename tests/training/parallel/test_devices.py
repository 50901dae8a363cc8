from typing import Any

import pytest
import torch

from lightning_mia.training.parallel.devices import check_one_device, visible_gpus, worker_gpus
from lightning_mia.training.parallel.settings import FleetSettings
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError


def factory(**options: Any) -> TrainerFactory:
    return TrainerFactory({"accelerator": "cpu", "logger": False, **options})


@pytest.mark.parametrize(
    "options", [{"devices": 2}, {"devices": 2, "strategy": "ddp"}, {"num_nodes": 2}, {"devices": 1, "strategy": "ddp"}]
)
def test_several_workers_need_one_device_per_model(options: dict[str, Any]) -> None:
    check_one_device(factory(**options), FleetSettings())
    with pytest.raises(InputError, match=r"fleet.workers is 3, .* give --fleet.workers 1, or --trainer.devices 1"):
        check_one_device(factory(**options), FleetSettings(workers=3))
    with pytest.raises(InputError, match=r"fleet.engine is ray, .* give --fleet.engine local --fleet.workers 1, or"):
        check_one_device(factory(**options), FleetSettings(engine="ray"))


def test_several_workers_may_share_a_device() -> None:
    for options in ({}, {"devices": 1}, {"devices": "auto"}):
        check_one_device(factory(**options), FleetSettings(workers=3))


@pytest.mark.parametrize(
    ("accelerator", "devices", "visible", "expected"),
    [
        ("auto", "auto", "", ["0", "1", "2", "3"]),
        ("gpu", 1, "", ["0", "1", "2", "3"]),
        ("cuda", 1, "4, 5,6,7", ["4", "5", "6", "7"]),
        ("gpu", [2], "", ["2"]),
        ("gpu", "2,", "4,5,6,7", ["6"]),
        ("cpu", 1, "", []),
    ],
)
def test_workers_get_the_selected_gpus(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, devices: Any, visible: str, expected: list[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    trainers = factory(accelerator=accelerator, devices=devices)
    # Lightning would check for GPUs; only the device numbers of its Trainer are used.
    trainer = type("", (), {"device_ids": [2]})
    monkeypatch.setattr(TrainerFactory, "for_probing", lambda *_: trainer)
    assert worker_gpus(trainers) == expected


def test_unusable_gpus_have_no_name() -> None:
    assert visible_gpus(1, {"CUDA_VISIBLE_DEVICES": "0,-1,1"}) == ["0"]
    assert visible_gpus(0, {}) == []
