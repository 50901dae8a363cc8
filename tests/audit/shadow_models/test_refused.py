"""Impossible or mismatched shadow models are refused in one line."""

from pathlib import Path

import pandas as pd
import pytest
import soundfile

from tests.audit.shadow_models.conftest import refused, run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trainer.max_epochs", "4"], "trainer.max_epochs: 3 stored, 4 requested"),
        (["--seed_everything", "1"], "seed: 1 stored, 2 requested"),
        (["--model.dim", "32"], "hyperparameters.dim: 16 stored, 32 requested"),
        (["--data.split_seed", "1"], "is another split"),
        (["--data.design.n_units", "40"], "is another split"),
        (["--fleet.pool", "auxiliary", "--data.design.n_units", "48"], "auxiliary units"),
    ],
)
@pytest.mark.parametrize("command", ["shadow", "audit"])
def test_shadow_models_with_different_settings_are_refused(
    fleet: Path, config: Path, command: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, command, config, fleet, "--fleet.size", "4", *options)
    assert message in line
    assert "shadows/000 was created with different settings (hash: " in line or "hash" not in message
    assert not (fleet / "target").exists()  # refused before a target was trained


def other_manifest(tiny_manifest: Path, folder: Path) -> Path:
    """The same manifest, with one recording of another content."""
    table = pd.read_csv(tiny_manifest, dtype=str)
    table["path"] = [str(tiny_manifest.parent / path) for path in table["path"]]
    row = table.index[table["id"] == "s00/c00"][0]
    waveform, rate = soundfile.read(table["path"][row])
    soundfile.write(folder / "other.flac", 0.5 * waveform, rate)
    table.loc[row, "path"] = str(folder / "other.flac")
    table.to_csv(folder / "other.csv", index=False)
    return folder / "other.csv"


def test_shadow_models_of_different_data_are_refused(
    fleet: Path, config: Path, tiny_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = pd.read_csv(fleet / "split.csv", dtype={"id": str}).set_index("id")
    assert split.loc["s00/c00", "role"] != "auxiliary"
    other = ["--data.corpus.path", str(other_manifest(tiny_manifest, tmp_path))]
    line = refused(capsys, "shadow", config, fleet, "--fleet.size", "4", *other)
    assert "was created with different settings (hash: " in line
    assert "recordings: " in line


def test_a_target_trained_with_different_settings_is_refused(
    audited: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", config, tmp_path / "other", "--trainer.max_epochs", "4") == 0
    other = tmp_path / "other" / "target" / "model.ckpt"
    options = ["--fleet.size", "2", "--target_checkpoint"]
    line = refused(capsys, "attack", config, tmp_path / "run", *options, str(other))
    assert f"{other} was trained with other settings, but shadow models must be trained exactly like the target" in line
    assert not (tmp_path / "run" / "wrong_model").exists()  # before anything was trained
    same = audited / "target" / "model.ckpt"
    assert run("attack", config, tmp_path / "run", *options, str(same)) == 0


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("shadow", ["--fleet.size", "3"], "fleet.size is 3: shadow models come in pairs, give an even number"),
        ("audit", ["--fleet.size", "5"], "fleet.size is 5"),
        ("shadow", ["--fleet.size", "0"], "fleet.size is 0: give the number of shadow models to train"),
        ("shadow", ["--fleet.workers", "0"], "fleet.workers is 0"),
        ("audit", ["--fleet.size", "2", "--fleet.workers", "2", "--trainer.devices", "2"], "give --fleet.workers 1"),
        ("shadow", ["--fleet.workers", "2", "--trainer.strategy", "ddp"], "give --fleet.workers 1"),
        (
            "audit",
            ["--fleet.size", "2", "--fleet.pool", "auxiliary"],
            "but there are 24: raise data.design.n_auxiliary",
        ),
        ("audit", ["--fleet.size", "2", "--fleet.pool", "both"], "fleet.pool"),
    ],
)
def test_impossible_options_are_refused_before_anything_runs(
    config: Path, tmp_path: Path, command: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, command, config, tmp_path / "run", *options)
    assert not (tmp_path / "run").exists()


def test_a_predefined_split_has_no_shadow_models(
    tiny_manifest: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(tiny_manifest, dtype=str)
    table["path"] = [str(tiny_manifest.parent / path) for path in table["path"]]
    table.assign(member=(table.groupby("speaker").cumcount() % 2).astype(str)).to_csv(tmp_path / "m.csv", index=False)
    options = ["--fleet.size", "2", "--data.corpus.path", str(tmp_path / "m.csv")]
    assert "the corpus has a predefined split (column member)" in refused(
        capsys, "audit", config, tmp_path / "run", *options
    )
