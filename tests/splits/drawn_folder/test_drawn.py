"""The folder of a drawn split: complete, checked, extended."""

import json
from pathlib import Path

import pandas as pd
import pytest

from lightning_mia.splits import UtteranceDesign
from lightning_mia.splits.drawn_folder.drawn import DrawnFolder, save_drawn
from lightning_mia.utilities.errors import InputError

DESIGN = UtteranceDesign(24, 6, background="rest")


def save(folder: Path, n_shadows: int = 2, seed: int = 0, formats: tuple[str, ...] = ("csv",)) -> None:
    ids = [f"s{speaker}-{clip:02d}" for speaker in range(4) for clip in range(12)]
    table = pd.DataFrame({"id": ids, "path": [f"/x/{name}.wav" for name in ids], "speaker": [n[:2] for n in ids]})
    audio = pd.DataFrame({"duration": 1.0, "n_samples": 16_000, "source_rate": 16_000}, index=pd.Index(ids, name="id"))
    audio["sha256"] = [f"hash of {name}" for name in ids]
    split = DESIGN.draw(table, audio["sha256"].to_dict(), n_shadows=n_shadows, seed=seed)
    save_drawn(folder, split, table, audio, DESIGN, seed, formats)


def test_it_holds_members_recordings_and_how_they_were_drawn(tmp_path: Path) -> None:
    save(tmp_path)
    drawn = DrawnFolder.load(tmp_path)
    description = json.loads((tmp_path / "split.json").read_text())
    assert description["seed"] == 0
    assert description["design"]["n_units"] == 24
    assert description["sha256"] == drawn.split.sha256
    assert sorted(drawn.table["id"]) == sorted(drawn.split.table["id"])
    assert drawn.contents["s0-00"] == "hash of s0-00"
    drawn.check_audio({"s0-00": "hash of s0-00"})
    with pytest.raises(InputError, match=r"The audio of 1 of 2 recordings changed since .* s0-01"):
        drawn.check_audio({"s0-00": "hash of s0-00", "s0-01": "other"})
    readme = (tmp_path / "README.md").read_text()
    for text in (
        "| shadow_001 | 30 | 30 |",
        "What must not happen",
        f"--split {tmp_path}",
        "18 recordings in every list",
        '--fleet.checkpoints "CHECKPOINTS/shadow_{:03d}"',
    ):
        assert text in readme


def test_shadow_models_and_formats_may_be_added(tmp_path: Path) -> None:
    save(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.csv") if path.name != "split.csv"}
    created = DrawnFolder.load(tmp_path).created
    save(tmp_path, n_shadows=4, formats=("nemo",))
    save(tmp_path, n_shadows=0)
    drawn = DrawnFolder.load(tmp_path)
    assert len(drawn.split.shadows) == 4
    assert drawn.created == created
    assert {path: path.read_bytes() for path in before} == before
    assert (tmp_path / "train/shadow_003.jsonl").is_file()


@pytest.mark.parametrize("name", ["train/target.csv", "split.csv", "recordings.csv", "train/shadow_001.csv"])
def test_edited_files_are_refused(tmp_path: Path, name: str) -> None:
    save(tmp_path)
    path = tmp_path / name
    path.write_text(path.read_text().replace("s0", "s1", 1))
    for use in (DrawnFolder.load, save):
        with pytest.raises(InputError, match=f"{name} was changed since it was drawn; restore it"):
            use(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=f"{name} is missing"):
        DrawnFolder.load(tmp_path)


def test_another_draw_is_refused(tmp_path: Path) -> None:
    save(tmp_path)
    with pytest.raises(InputError, match="has another split"):
        save(tmp_path, seed=1)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; draw a split"):
        DrawnFolder.load(tmp_path)
    (tmp_path / "split.json").write_text('{"level": "utterance"}')
    with pytest.raises(InputError, match="was not written by"):
        DrawnFolder.load(tmp_path)
