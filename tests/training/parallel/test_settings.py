from typing import Any

import pytest
import torch

from lightning_mia.training.parallel import devices
from lightning_mia.training.parallel.settings import FleetSettings
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 3}, "fleet.size is 3: shadow models come in pairs, give an even number"),
        ({"size": -2}, "fleet.size is -2"),
        ({"size": 2, "workers": 0}, "fleet.workers is 0: give 1 to "),
        ({"engine": "ray", "gpus_per_model": 2}, "fleet.gpus_per_model is 2: give 0 to 1"),
        ({"retries": -1}, "fleet.retries is -1: give 0 to 1,000,000"),
        ({"ray_address": "auto"}, "fleet.ray_address is for Ray: give fleet.engine ray too"),
        ({"gpus_per_model": 0.5}, "fleet.gpus_per_model is for Ray"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FleetSettings(**settings)


def test_workers_are_settled_automatically_unless_a_number_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "physical_cores", lambda: 16)
    monkeypatch.setattr(devices, "free_memory_gib", lambda: 100.0)
    monkeypatch.setattr(devices, "worker_gpus", lambda trainers: [])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    trainers = TrainerFactory({"accelerator": "cpu", "devices": 1})

    def settled(n_parameters: int = 100_000, **options: Any) -> int:
        return devices.settle_workers(FleetSettings(size=16, **options), trainers, n_parameters).n_workers

    assert settled() == 16
    assert settled(workers=3) == 3
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)  # as for a large model
    assert settled() == 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(devices, "free_memory_gib", lambda: 4.0)
    assert settled() == 2
    monkeypatch.setattr(devices, "free_memory_gib", lambda: 0.5)
    assert settled() == 1
    monkeypatch.setattr(devices, "physical_cores", lambda: 1)
    assert settled() == 1


def test_small_models_share_a_gpu_and_large_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "physical_cores", lambda: 32)
    monkeypatch.setattr(devices, "free_memory_gib", lambda: 200.0)
    monkeypatch.setattr(devices, "worker_gpus", lambda trainers: ["0", "1"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    trainers = TrainerFactory({"accelerator": "cpu", "devices": 1})
    for gib, n_parameters, expected in ((80, 100_000, 16), (16, 100_000, 8), (2, 100_000, 2), (80, 95_000_000, 2)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index, gib=gib: (gib * 2**30, 0))
        assert devices.settle_workers(FleetSettings(), trainers, n_parameters).n_workers == expected


def test_a_model_on_several_devices_is_trained_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "physical_cores", lambda: 16)
    trainers = TrainerFactory({"accelerator": "cpu", "devices": 2})
    assert devices.settle_workers(FleetSettings(), trainers, 0).n_workers == 1
    devices.check_one_device(trainers, FleetSettings())
