"""Settings of the probe."""

import pytest

from lightning_mia.signals.settings import MAX_MASKS, ProbeSettings


@pytest.mark.parametrize(("seconds", "n_masks"), [(0.3, 16), (1.0, 16), (2.0, 16), (5.0, 7), (10.0, 4), (90.0, 2)])
def test_long_recordings_take_fewer_masks(seconds: float, n_masks: int) -> None:
    durations = [0.2, seconds, 100.0]  # the median counts
    assert ProbeSettings().for_durations(durations).encoder_outputs.n_masks == n_masks


def test_a_given_number_of_masks_is_kept() -> None:
    assert ProbeSettings(n_masks=3).for_durations([10.0]) == ProbeSettings(n_masks=3)


def test_without_recordings_the_masks_are_those_of_short_ones() -> None:
    assert ProbeSettings().encoder_outputs.n_masks == MAX_MASKS == 16
