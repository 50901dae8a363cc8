import json
from pathlib import Path

import pytest

from lightning_mia.utilities import stage as stage_module
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


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"steps": 12', '"steps": 92'),
        ('"epochs": 3', '"epochs": 4'),
        ('"record": {', '"record": [{'),
        ("{", "\0"),
        ('"settings"', '"setting"'),
    ],
)
def test_an_edited_description_is_rejected(tmp_path: Path, old: str, new: str) -> None:
    stage = Stage(tmp_path, {"epochs": 3}).begin()
    stage.finish({"steps": 12})
    stage.path.write_text(stage.path.read_text().replace(old, new))
    with pytest.raises(InputError, match=r"stage\.json is damaged; delete the folder"):
        Stage(tmp_path, {"epochs": 3}).begin()


def test_descriptions_of_earlier_versions_are_read(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {"epochs": 3})
    stage.path.write_text(json.dumps({"sha256": stage.sha256, "settings": stage.settings, "record": {"steps": 12}}))
    assert stage.begin().record == {"steps": 12}
    assert stage.versions == {}


def test_versions_are_recorded_from_the_start_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "result_versions", lambda: {"torch": "2.11.0", "lightning": "2.6.6"})
    Stage(tmp_path, {}).begin()
    monkeypatch.setattr(stage_module, "result_versions", lambda: {"torch": "2.12.0", "lightning": "2.6.6"})
    Stage(tmp_path, {}).begin().finish({})
    assert Stage(tmp_path, {}).begin().versions == {"torch": "2.11.0 and 2.12.0", "lightning": "2.6.6"}
