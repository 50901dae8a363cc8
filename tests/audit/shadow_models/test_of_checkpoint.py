"""Shadow models of a checkpoint from elsewhere, trained on its auxiliary recordings."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lightning_mia.audit.cli import main

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).parents[3] / "configs" / "attack" / "checkpoint.yaml"
QUIET = ["--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.enable_progress_bar", "false"]
CHEAP = ["--controls.untrained", "false", "--probe.n_masks", "2", "--trainer.max_epochs", "1"]
CHOSEN = ["PretextLoss", "CalibratedLoss", {"class_path": "BaVarIA", "init_args": {"online": False}}]
HEADS = "Wav2Vec2ForPreTraining"


@pytest.fixture(scope="module")
def manifest(speakers_manifest: Path) -> Path:
    """Every second recording of 10 speakers is a member; those of the others are auxiliary."""
    table = pd.read_csv(speakers_manifest, dtype=str)
    number = table["speaker"].str[1:].astype(int)
    table["member"] = np.where(number < 10, np.where(np.arange(len(table)) % 2, "1", "0"), "")
    path = speakers_manifest.parent / "pool.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def target(save_checkpoint: Callable[..., Path]) -> Path:
    return save_checkpoint(HEADS, 17)


def arguments(target: Path, manifest: Path, run_dir: Path, *options: str) -> list[str]:
    fixed = ["attack", "-c", str(CONFIG), "--model.checkpoint", str(target), "--data.corpus.path", str(manifest)]
    pool = ["--fleet.size", "2", "--fleet.pool", "auxiliary", "--attacks", json.dumps(CHOSEN)]
    return [*fixed, "--run_dir", str(run_dir), *QUIET, *CHEAP, *pool, *options]


@pytest.mark.parametrize("continued", [False, True])
def test_they_are_trained_on_halves_of_the_auxiliary_recordings(
    target: Path, save_checkpoint: Callable[..., Path], manifest: Path, tmp_path: Path, continued: bool
) -> None:
    start = ["--fleet.start", str(save_checkpoint(HEADS, 18))] if continued else []
    assert main(arguments(target, manifest, tmp_path, *start)) == 0
    split = pd.read_csv(tmp_path / "split.csv", dtype=str).set_index("id")
    trained_on = [
        set(pd.read_csv(tmp_path / "shadows" / name / "trained_utterances.csv", dtype=str)["id"])
        for name in ("000", "001")
    ]
    assert set(split.loc[sorted(trained_on[0] | trained_on[1]), "role"]) == {"auxiliary"}
    assert len(trained_on[0]) == len(trained_on[1]) and not trained_on[0] & trained_on[1]
    n_auxiliary = int((split["role"] == "auxiliary").sum())
    assert n_auxiliary - len(trained_on[0] | trained_on[1]) >= 20  # for heads, quantiles and standardisation
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    assert results["fleet"]["pool"] == "auxiliary" and not results["split"]["drawn"]
    used = {attack["name"]: attack["n_shadows"] for attack in results["attacks"] if attack["level"] == "utterance"}
    assert used == {"pretext_loss": 0, "calibrated_loss": 2, "bavaria_offline": 2}
    assert all(attack["versus_wrong_model"] for attack in results["attacks"])  # the first shadow model
    assert not any("wrong-model control was omitted" in note for note in results["notes"])
    stage = json.loads((tmp_path / "shadows" / "000" / "stage.json").read_text())["settings"]
    assert bool(stage["start"]) == continued
    assert any("shadow models were trained" in note for note in results["notes"])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (HEADS, {}, "has the weights of the target"),
        ("HubertModel", {}, "is hubert, but the target is wav2vec2"),
        (HEADS, {"hidden_size": 24}, "has another size than the target"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(
    target: Path,
    save_checkpoint: Callable[..., Path],
    manifest: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    options: dict[str, int],
    message: str,
) -> None:
    start = save_checkpoint(name, 17, **options)
    assert main(arguments(target, manifest, tmp_path, "--fleet.start", str(start))) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fleet.pool", "challenge"], "give --fleet.pool auxiliary"),
        (["--fleet.size", "0", "--fleet.start", "X"], "give --fleet.size and --fleet.pool auxiliary too"),
    ],
)
def test_the_challenge_set_of_a_user_supplied_split_is_no_pool(
    target: Path,
    manifest: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    assert main(arguments(target, manifest, tmp_path, *options)) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


def test_too_few_auxiliary_recordings_are_refused(
    target: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    few = table[(table["member"] != "") | (np.cumsum(table["member"] == "") <= 30)]
    path = manifest.parent / "few.csv"
    few.to_csv(path, index=False)
    assert main(arguments(target, path, tmp_path)) == 2
    assert "need 36 or more units, but there are 30" in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def drawn(speakers_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of `split`, with exposures and a background."""
    folder = tmp_path_factory.mktemp("drawn") / "S"
    sizes = ["--n_units", "48", "--n_auxiliary", "44", "--background", "rest", "--exposures", "[1, 2]"]
    assert main(["split", str(speakers_manifest), "--out", str(folder), *sizes, "--formats", "csv"]) == 0
    return folder


def test_they_are_trained_on_auxiliary_recordings_of_a_split_drawn_before(
    target: Path, save_checkpoint: Callable[..., Path], drawn: Path, tmp_path: Path
) -> None:
    pool = ["--fleet.size", "2", "--fleet.pool", "auxiliary", "--fleet.start", str(save_checkpoint(HEADS, 18))]
    fixed = ["attack", "-c", str(CONFIG), "--model.checkpoint", str(target), "--split", str(drawn), *pool]
    chosen = ["--attacks", json.dumps(CHOSEN), "--run_dir", str(tmp_path)]
    assert main([*fixed, *chosen, *QUIET, *CHEAP]) == 0
    split = pd.read_csv(tmp_path / "split.csv", dtype=str).set_index("id")
    parts = [split.index[split[f"shadow_{number:03d}"] == "1"] for number in range(2)]
    assert len(parts[0]) == len(parts[1]) == 12  # of 44, 20 remain
    assert set(split.loc[[*parts[0], *parts[1]], "role"]) == {"auxiliary"}
    assert "background" in set(split["role"])
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    assert results["fleet"]["pool"] == "auxiliary" and results["split"]["drawn"]
    used = {attack["name"]: attack["n_shadows"] for attack in results["attacks"]}
    assert used == {"pretext_loss": 0, "calibrated_loss": 2, "bavaria_offline": 2}
    assert all(attack["versus_wrong_model"] for attack in results["attacks"])  # the first shadow model
    assert any(
        "were trained for 1 epochs on 12 auxiliary recordings each, continuing" in note for note in results["notes"]
    )
    assert any("is the user's statement, on which the verdict rests" in note for note in results["notes"])
