import pytest

from lightning_mia.errors import InputError
from lightning_mia.fleet.settings import FleetSettings


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"size": 3}, "fleet.size is 3: shadow models come in pairs, give an even number"),
        ({"size": -2}, "fleet.size is -2"),
        ({"size": 2, "workers": 0}, "fleet.workers is 0: give 1 or more"),
    ],
)
def test_what_is_no_fleet_is_refused(settings: dict[str, int], told: str) -> None:
    with pytest.raises(InputError, match=told):
        FleetSettings(**settings)
