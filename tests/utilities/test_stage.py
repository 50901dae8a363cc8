from pathlib import Path

import pytest

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.stage import Stage


def test_a_finished_stage_is_recognised(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {"epochs": 3}).begin()
    assert not stage.done
    stage.finish({"seconds": 1.5})
    again = Stage(tmp_path, {"epochs": 3}).begin()
    assert again.record == {"seconds": 1.5}


def test_an_interrupted_stage_is_not_finished(tmp_path: Path) -> None:
    Stage(tmp_path, {"epochs": 3}).begin()
    assert not Stage(tmp_path, {"epochs": 3}).begin().done


def test_other_settings_are_rejected_with_both_hashes_and_the_change(tmp_path: Path) -> None:
    first = Stage(tmp_path, {"model": {"dim": 8}, "seed": 0}).begin()
    second = Stage(tmp_path, {"model": {"dim": 16}, "seed": 0})
    with pytest.raises(InputError) as error:
        second.begin()
    assert first.sha256[:12] in str(error.value)
    assert second.sha256[:12] in str(error.value)
    assert "model.dim: 8 stored, 16 requested" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_damaged_description_is_rejected(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {}).begin()
    stage.path.write_text("{")
    with pytest.raises(InputError, match="damaged"):
        Stage(tmp_path, {}).begin()
