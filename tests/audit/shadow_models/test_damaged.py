"""Missing, damaged or unfinished shadow models: training resumes, or one line says what to delete."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from lightning_mia.training import train
from tests.audit.shadow_models.conftest import StopsAt, assert_same_weights, refused, run, shadow_files, times_of

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_an_interrupted_shadow_model_is_resumed(
    fleet: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(train, "LastCheckpoint", StopsAt)
        patched.setenv("STOPS_AT", str(epoch))
        with pytest.raises(RuntimeError, match="killed"):
            run("shadow", config, tmp_path, "--fleet.size", "4", "--fleet.workers", "1")
    assert (tmp_path / "shadows" / "002" / "last.ckpt").exists()
    assert not (tmp_path / "shadows" / "003").exists()
    before = times_of(tmp_path)
    assert run("shadow", config, tmp_path, "--fleet.size", "4") == 0
    assert_same_weights(tmp_path, fleet)
    after = times_of(tmp_path)
    assert {path for path in before if "000" in str(path) and before[path] != after[path]} == set()
    exposure = pd.read_csv(tmp_path / "shadows" / "002" / "trained_utterances.csv")
    assert (exposure["times"] == 3).all()
    records = [json.loads((folder / "shadows/002/stage.json").read_text())["record"] for folder in (tmp_path, fleet)]
    assert records[0]["steps"] == records[1]["steps"]
    assert records[0]["epochs"] == records[1]["epochs"]


def test_a_missing_model_is_trained_again(copied: Path, audited: Path, config: Path) -> None:
    (copied / "shadows" / "001" / "model.ckpt").unlink()
    (copied / "shadows" / "002" / "stage.json").unlink()
    assert run("audit", config, copied, "--fleet.size", "4") == 0
    assert shadow_files(copied) == shadow_files(audited)


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def swap(path: Path) -> None:
    other = Path(str(path).replace("001", "003"))
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


def drop_a_row(path: Path) -> None:
    pd.read_csv(path, dtype=str).iloc[1:].to_csv(path, index=False)


def drop_a_row_of_an_earlier_version(path: Path) -> None:
    """Which recorded no hash of this file."""
    drop_a_row(path)
    stage = path.with_name("stage.json")
    content = json.loads(stage.read_text())
    del content["content_sha256"], content["record"]["exposures_sha256"]
    stage.write_text(json.dumps(content))


def flip_a_label(path: Path) -> None:
    table = pd.read_csv(path, dtype=str)
    table.loc[table.index[table["shadow_001"] == "1"][0], "shadow_001"] = "0"
    table.to_csv(path, index=False)


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("shadows/001/model.ckpt", truncate, "model.ckpt is damaged; delete"),
        ("shadows/001/model.ckpt", swap, "was not trained by this stage; delete"),
        ("shadows/001/stage.json", truncate, "stage.json is damaged; delete the folder"),
        ("shadows/001/stage.json", swap, "was created with different settings (hash: "),
        ("shadows/001/trained_utterances.csv", Path.unlink, "trained_utterances.csv is missing or damaged; delete"),
        ("shadows/001/trained_utterances.csv", truncate, "is not the file that the training wrote"),
        ("shadows/001/trained_utterances.csv", swap, "is not the file that the training wrote"),
        ("shadows/001/trained_utterances.csv", drop_a_row, "is not the file that the training wrote"),
        (
            "shadows/001/trained_utterances.csv",
            drop_a_row_of_an_earlier_version,
            "does not match the members of this shadow model in split.csv",
        ),
        ("probes/shadows-001-answers-*.npz", truncate, ".npz is damaged; delete it and run the same command again"),
        ("split.csv", flip_a_label, "has other members for shadow_001 than requested"),
    ],
)
def test_damaged_and_swapped_files_are_reported_in_one_line(
    copied: Path,
    config: Path,
    file: str,
    damage: Callable[[Path], None],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (path,) = copied.glob(file)
    damage(path)
    line = refused(capsys, "audit", config, copied, "--fleet.size", "4")
    assert message in line
    assert "001" in line


def test_a_damaged_resume_checkpoint_is_reported_in_one_line(
    copied: Path, fleet: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied / "shadows" / "001"
    (folder / "model.ckpt").unlink()
    (folder / "last.ckpt").write_bytes(b"")  # as a power failure leaves it
    line = refused(capsys, "shadow", config, copied, "--fleet.size", "4")
    assert f"{folder / 'last.ckpt'} is damaged; delete it to train this model from the start" in line
    (folder / "last.ckpt").unlink()
    assert run("shadow", config, copied, "--fleet.size", "4") == 0
    assert shadow_files(copied) == shadow_files(fleet)


def test_a_shadow_model_with_damaged_weights_is_named(
    copied: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copied / "shadows" / "001" / "model.ckpt"
    content = path.read_bytes()
    weights = next(iter(torch.load(path, weights_only=True)["state_dict"].values())).numpy().tobytes()
    position = content.index(weights) + 1
    path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])  # one bit
    line = refused(capsys, "audit", config, copied, "--fleet.size", "4")
    assert f"{path} is damaged; delete {path.parent} and run the same command again" in line
