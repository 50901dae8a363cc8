from typing import Any

import pytest

from lightning_mia.training.parallel.settings import FleetSettings
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
