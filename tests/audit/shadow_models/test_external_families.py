"""Whisper and the checkpoints of other publishers, as shadow models and as references."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import transformers

from lightning_mia.audit.cli import main
from tests.models.huggingface.conftest import WHISPER, extractor_of, whisper_tokenizer
from tests.models.published import test_published_cpc as cpc
from tests.models.published import test_published_tera as tera

CONFIG = Path(__file__).parents[3] / "configs" / "attack" / "checkpoint.yaml"
OPTIONS = ["--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.enable_progress_bar", "false"]
OPTIONS += ["--evaluation.n_redraws", "1000", "--evaluation.n_bootstraps", "1000", "--probe.n_masks", "2"]
OPTIONS += ["--controls.untrained", "false", "--fleet.take_turns", "false", "--controls.blind_encoder", "null"]
NAMES = ("target", "shadow_000", "shadow_001")


def save_whisper(folder: Path, seed: int, **sizes: int) -> Path:
    """A Whisper with decoder, as transformers saves it."""
    tokenizer = whisper_tokenizer()
    ends = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), tokenizer.eos_token_id)
    start = {"decoder_start_token_id": tokenizer.convert_tokens_to_ids("<|startoftranscript|>")}
    torch.manual_seed(seed)
    sizes = {"vocab_size": len(tokenizer), "max_target_positions": 40, **sizes}
    config = transformers.WhisperConfig(**{**WHISPER, **ends, **start, **sizes})
    transformers.WhisperForConditionalGeneration(config).save_pretrained(folder)
    transformers.WhisperProcessor(extractor_of("whisper"), tokenizer).save_pretrained(folder)
    return folder


def other_weights(path: Path, entries: tuple[str, ...], seed: int) -> Path:
    """Move the weights of a file, so that two files differ."""
    generator = torch.Generator().manual_seed(seed)
    content = torch.load(path, weights_only=False)
    for entry in entries:
        for weight in content[entry].values():
            if torch.isfinite(weight).all():
                weight += 0.1 * torch.randn(weight.shape, generator=generator)
    torch.save(content, path)
    return path


def save_tera(folder: Path, seed: int, **changes: Any) -> Path:
    """A checkpoint of S3PRL."""
    folder.mkdir(parents=True)
    config = tera.changed(**changes)
    content = {"Transformer": tera.weights(config), "SpecHead": tera.head_weights(config)}
    path = tera.write(folder / "states.ckpt", config, **content)
    return other_weights(Path(path), ("Transformer", "SpecHead"), seed)


def save_cpc(folder: Path, seed: int, **changes: Any) -> Path:
    """A checkpoint of CPC_audio's training."""
    folder.mkdir(parents=True)
    path = cpc.write_training(folder, {**cpc.WIDE, **changes})
    return other_weights(Path(path), ("gEncoder",), seed)


Save = Callable[..., Path]
FAMILIES: dict[str, tuple[Save, str, list[str]]] = {
    "whisper": (save_whisper, "PretrainedEncoder", ["token_score"]),
    "tera": (save_tera, "PublishedTERA", ["pretext_score"]),
    "cpc": (save_cpc, "PublishedCPC", ["pretext_score"]),
}
UNLIKE: dict[str, tuple[dict[str, Any], str]] = {
    "whisper": ({"decoder_layers": 2}, "decoder_layers in config.json is 2 instead of 1"),
    "tera": ({"cmvn": False}, "cmvn in the configuration is False instead of True"),
    "cpc": ({"sizeWindow": 20480}, "window in the configuration is"),
}


@pytest.fixture(scope="module")
def split(tiny_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    table = pd.read_csv(tiny_manifest, dtype=str).assign(text="ab a")
    table["path"] = [str(tiny_manifest.parent / path) for path in table["path"]]
    table.to_csv(folder / "transcribed.csv", index=False)
    sizes = ["--n_units", "24", "--n_auxiliary", "8", "--shadows", "2", "--formats", "csv"]
    assert main(["split", str(folder / "transcribed.csv"), "--out", str(folder / "S"), *sizes]) == 0
    return folder / "S"


def attack(split: Path, family: str, models: dict[str, Path], run_dir: Path, *options: str) -> int:
    _, model_class, _ = FAMILIES[family]
    arguments = ["attack", "-c", str(CONFIG), "--split", str(split), "--model", model_class]
    arguments += ["--model.checkpoint", str(models["target"]), "--run_dir", str(run_dir)]
    return main([*arguments, *OPTIONS, *options])


def attacks_on(family: str, with_shadows: str, **settings: Any) -> str:
    """The options of an attack on the loss, with shadow models or references."""
    (score,) = FAMILIES[family][2]
    signal = {"class_path": "TaskScore", "init_args": {"score": score}}
    return json.dumps([{"class_path": with_shadows, "init_args": {"signal": signal, **settings}}])


def results(run_dir: Path) -> dict[str, Any]:
    return json.loads((run_dir / "report" / "results.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_they_are_shadow_models(family: str, split: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save, *_ = FAMILIES[family]
    models = {name: save(tmp_path / name, seed) for seed, name in enumerate(NAMES)}
    pattern = str(models["shadow_000"]).replace("shadow_000", "shadow_{:03d}")
    options = ["--fleet.checkpoints", pattern, "--attacks", attacks_on(family, "MidPoint")]
    assert attack(split, family, models, tmp_path / "R", *options) == 0
    assert [result["n_shadows"] for result in results(tmp_path / "R")["attacks"]] == [2]

    def refused() -> str:
        capsys.readouterr()
        assert attack(split, family, models, tmp_path / "R2", *options) == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    changes, message = UNLIKE[family]
    (tmp_path / "shadow_001").rename(tmp_path / "kept")
    save(tmp_path / "shadow_001", 2, **changes)
    assert message in refused()
    (tmp_path / "shadow_001").rename(tmp_path / "unlike")
    save(tmp_path / "shadow_001", 1)
    assert "has the same weights as" in refused()


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_they_are_references(family: str, split: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save, *_ = FAMILIES[family]
    models = {name: save(tmp_path / name, seed) for seed, name in enumerate(("target", "base"))}
    options = ["--attacks", attacks_on(family, "RMIA", online=False), "--fleet.references"]
    assert attack(split, family, models, tmp_path / "R", *options, str(models["base"])) == 0
    (result,) = results(tmp_path / "R")["attacks"]
    assert result["n_references"] == 1
    capsys.readouterr()
    assert attack(split, family, models, tmp_path / "R2", *options, str(models["target"])) == 2
    assert "has the weights of the target" in capsys.readouterr().err
