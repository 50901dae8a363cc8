"""What a user can get wrong on the command line: one line, exit status 2, nothing half-written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

from lightning_mia.audit.cli import main

Spoil = Callable[[pd.DataFrame, Path], pd.DataFrame]


@pytest.fixture
def corpus(tiny_manifest: Path, tmp_path: Path) -> pd.DataFrame:
    table = pd.read_csv(tiny_manifest, dtype=str)
    return table.assign(path=[str(tiny_manifest.parent / path) for path in table["path"]])


def refused(capsys: pytest.CaptureFixture[str], run_dir: Path, *arguments: str) -> str:
    """The one line that `fit` is refused with."""
    capsys.readouterr()
    assert main([*arguments, "--run_dir", str(run_dir)]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "lightning-mia: error" in line]
    assert len(lines) == 1
    assert not list(run_dir.rglob("*.ckpt"))
    assert not list(run_dir.rglob("split.csv"))
    return lines[0]


def replace_first(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    return table.assign(path=[str(path), *table["path"][1:]])


def silent(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    soundfile.write(folder / "bad.wav", np.zeros(16_000), 16_000)
    return replace_first(table, folder / "bad.wav")


def not_finite(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    soundfile.write(folder / "bad.wav", np.full(16_000, np.nan), 16_000, subtype="FLOAT")
    return replace_first(table, folder / "bad.wav")


def not_audio(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    (folder / "bad.wav").write_text("not audio")
    return replace_first(table, folder / "bad.wav")


def truncated(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    content = Path(table["path"][0]).read_bytes()
    (folder / "bad.flac").write_bytes(content[: len(content) // 2])
    return replace_first(table, folder / "bad.flac")


def empty_file(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    (folder / "bad.wav").touch()
    return replace_first(table, folder / "bad.wav")


def too_short(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    soundfile.write(folder / "bad.wav", 0.1 * np.ones(1000), 16_000)
    return replace_first(table, folder / "bad.wav")


BAD_AUDIO = {
    "missing": lambda table, folder: replace_first(table, folder / "bad.wav"),
    "silent": silent,
    "not finite": not_finite,
    "not audio": not_audio,
    "truncated": truncated,
    "empty": empty_file,
    "too short": too_short,
}
BAD_TABLES: dict[str, tuple[Spoil, str]] = {
    "no rows": (lambda table, _: table[:0], "empty"),
    "no speaker column": (lambda table, _: table.drop(columns="speaker"), "speaker"),
    "the same id twice": (lambda table, _: table.assign(id=[table["id"][1], *table["id"][1:]]), "s00/c01"),
    "one speaker": (lambda table, _: table.assign(speaker="s"), "speakers"),
    "too few units": (lambda table, _: table.groupby("speaker").head(1), "4"),
    "an unknown member value": (lambda table, _: table.assign(member=["yes", *["0"] * (len(table) - 1)]), "yes"),
    "the same audio on both sides": (
        lambda table, _: table.assign(
            member=["1", "0"] * (len(table) // 2), path=[table["path"][0], *table["path"][:-1]]
        ),
        "same audio",
    ),
}


@pytest.mark.parametrize("kind", BAD_AUDIO)
def test_bad_audio(kind: str, corpus: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    BAD_AUDIO[kind](corpus, tmp_path).to_csv(tmp_path / "m.csv", index=False)
    command = [
        "fit",
        "--model",
        "MelHuBERT",
        "--data.corpus",
        "Manifest",
        "--data.corpus.path",
        str(tmp_path / "m.csv"),
    ]
    line = refused(capsys, tmp_path / "run", *command)
    assert "bad." in line
    assert "on_bad_audio: skip" in line


@pytest.mark.parametrize("kind", BAD_TABLES)
def test_bad_tables(kind: str, corpus: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, message = BAD_TABLES[kind]
    spoil(corpus, tmp_path).to_csv(tmp_path / "m.csv", index=False)
    command = [
        "fit",
        "--model",
        "MelHuBERT",
        "--data.corpus",
        "Manifest",
        "--data.corpus.path",
        str(tmp_path / "m.csv"),
    ]
    assert message in refused(capsys, tmp_path / "run", *command)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data.corpus.path", "nowhere.csv"], "nowhere.csv"),
        (["--data.corpus.paths", "x"], "paths"),
        (["--trainer.epochs", "3"], "trainer.epochs"),
        (["--model.dim", "wide"], "dim"),
        (["--model.dim", "30"], "multiple of"),
        (["--model", "NoSuchModel"], "NoSuchModel"),
        (["--data.batch_seconds", "-1"], "batch_seconds"),
        (["--probe.n_masks", "0"], "n_masks"),
        (["--evaluation.n_redraws", "10"], "n_redraws"),
        (["--trainer.max_epochs", "many"], "max_epochs"),
    ],
)
def test_bad_options(
    options: list[str], message: str, tiny_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = ["--data.corpus", "Manifest", "--data.corpus.path", str(tiny_manifest)]
    assert message in refused(capsys, tmp_path / "run", "fit", "--model", "MelHuBERT", *corpus, *options)


@pytest.mark.parametrize("attack", ["LiRA", "CTCLoss"])
def test_an_attack_that_cannot_run_is_refused_before_the_training(
    attack: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, tmp_path / "run", "audit", "-c", str(config), "--attacks", f"[{attack}]")
    assert "No attack can give a verdict: " in line


def test_an_unknown_key_in_a_config_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"data": {"corpsu": "x"}}))
    assert "corpsu" in refused(capsys, tmp_path / "run", "fit", "-c", str(tmp_path / "c.yaml"))


def test_a_missing_config_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.yaml" in refused(capsys, tmp_path / "run", "fit", "-c", "nowhere.yaml")


def test_skipped_recordings_are_listed_and_omitted(
    corpus: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    silent(corpus, tmp_path).to_csv(tmp_path / "m.csv", index=False)
    options = [
        "--data.corpus",
        "Manifest",
        "--data.corpus.path",
        str(tmp_path / "m.csv"),
        "--data.on_bad_audio",
        "skip",
    ]
    run_dir = tmp_path / "run"
    command = ["fit", "--model", "MelHuBERT", *options, "--trainer.max_epochs", "0", "--run_dir", str(run_dir)]
    assert main(command) == 0
    assert "s00/c00" not in set(pd.read_csv(run_dir / "split.csv")["id"])
    assert "1 recordings are omitted" in caplog.text


MOVED = {
    "model": {"model": {"class_path": "lightning_mia.models.pretrained.PretrainedEncoder"}},
    "model by name alone": {"model": "lightning_mia.models.published_cpc.PublishedCPC"},
    "corpus": {"data": {"corpus": {"class_path": "lightning_mia.corpus.Manifest", "init_args": {"path": "m.csv"}}}},
    "design": {"data": {"design": {"class_path": "lightning_mia.split.UtteranceDesign", "init_args": {"n_units": 8}}}},
    "attack": {"attacks": [{"class_path": "lightning_mia.attacks.pretext_loss.PretextLoss"}]},
    "second attack": {"attacks": ["PretextLoss", "lightning_mia.attacks.speaker_lira.SpeakerLiRA"]},
    "signal of an attack": {
        "attacks": [
            {
                "class_path": "BaVarIA",
                "init_args": {"signal": "lightning_mia.attacks.black_box_signals.EveryBlackBoxSignal"},
            }
        ]
    },
    "filling of a signal": {
        "attacks": [
            {
                "class_path": "LiRA",
                "init_args": {
                    "signal": {
                        "class_path": "SurrogateHeadScore",
                        "init_args": {"head": {"filling": "lightning_mia.probe.fillings.ShapedNoise"}},
                    }
                },
            }
        ]
    },
    "callback": {"trainer": {"callbacks": [{"class_path": "lightning_mia.monitoring.LeakageMonitor"}]}},
}


def old_paths(value: object) -> list[str]:
    """Class paths of the package in JSON-like settings."""
    if isinstance(value, str):
        return [value] if value.startswith("lightning_mia.") else []
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [path for item in items for path in old_paths(item)]


@pytest.mark.slow
@pytest.mark.parametrize("place", MOVED)
def test_a_class_that_moved_is_named_in_one_line(
    place: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.yaml").write_text(yaml.safe_dump(MOVED[place]))
    line = refused(capsys, tmp_path / "run", "audit", "-c", str(config), "-c", str(tmp_path / "old.yaml"))
    (path,) = old_paths(MOVED[place])
    assert line == f"lightning-mia: error: {path} has moved: write {path.rpartition('.')[2]}"


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (
            ["audit", "--model", "lightning_mia.models.pretrained.PretrainedEncoder"],
            "models.pretrained.PretrainedEncoder",
        ),
        (["audit", "--data.corpus=lightning_mia.corpus.VCTK", "--data.corpus.root=d"], "corpus.VCTK"),
        (["audit", "--data.design", "lightning_mia.split.SpeakerDesign"], "split.SpeakerDesign"),
        (["attack", "--attacks", "[lightning_mia.attacks.ctc_loss.CTCLoss]"], "attacks.ctc_loss.CTCLoss"),
        (["blind", "--corpus", "lightning_mia.corpus.TwoSources"], "corpus.TwoSources"),
    ],
)
def test_a_class_that_moved_is_named_on_the_command_line_too(
    command: list[str], path: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = [] if command[0] == "blind" else ["-c", str(config)]
    line = refused(capsys, tmp_path / "run", command[0], *base, *command[1:])
    assert line == f"lightning-mia: error: lightning_mia.{path} has moved: write {path.rpartition('.')[2]}"


def test_a_class_that_moved_is_named_in_a_grid(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"TERA": {"model": "TERA"}, "wav2vec2": {"model": "lightning_mia.models.old.Wav2Vec2"}}
    grid = {"base": str(config), "factors": {"objective": {"values": values}}}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid))
    line = refused(capsys, tmp_path / "run", "ablate", "-c", str(tmp_path / "grid.yaml"))
    assert line.endswith("value wav2vec2: lightning_mia.models.old.Wav2Vec2 has moved: write Wav2Vec2")


@pytest.mark.parametrize("option", ["--model", "--data.corpus", "--data.design"])
def test_a_class_that_does_not_exist_is_named_in_one_line(
    option: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, tmp_path / "run", "fit", "-c", str(config), option, "lightning_mia.nowhere.NoSuchClass")
    assert "lightning_mia.nowhere.NoSuchClass does not exist, and lightning_mia has no class NoSuchClass" in line


def test_a_rejected_option_of_an_attack_is_the_reason_given(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attacks = "[{class_path: LiRA, init_args: {variance: 1}}]"
    line = refused(capsys, tmp_path / "run", "audit", "-c", str(config), "--attacks", attacks)
    assert line == "lightning-mia: error: --attacks: LiRA has no argument variance; it takes online, signal"
