"""FSDP: the shipped config, with a strategy that accepts CPUs, gives a checkpoint that everything else reads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
import yaml

from lightning_mia.models import PretrainedEncoder
from lightning_mia.models.checkpoint import load_model
from tests.models.huggingface.conftest import CONVOLUTIONS, SIZES

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    transformers.HubertModel(transformers.HubertConfig(**SIZES, **CONVOLUTIONS)).save_pretrained(tmp_path / "hubert")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "hubert")
    return tmp_path / "hubert"


@pytest.fixture
def on_cpus(tmp_path: Path) -> Path:
    """`configs/cluster/fsdp.yaml` for two processes without GPUs."""
    config = yaml.safe_load((CONFIGS / "cluster" / "fsdp.yaml").read_text())
    config["trainer"] |= {"accelerator": "cpu", "devices": 2, "precision": "32-true", "enable_progress_bar": False}
    config["trainer"]["strategy"]["class_path"] = "cpu_shards.ShardsOnCPUs"
    (tmp_path / "fsdp.yaml").write_text(yaml.safe_dump(config))
    return tmp_path / "fsdp.yaml"


@pytest.mark.slow
def test_shards_are_merged_in_the_checkpoint(
    encoder: Path, on_cpus: Path, tiny_manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "lightning_mia", "fit"]
    command += [
        "-c",
        str(CONFIGS / "finetune" / "pretrained.yaml"),
        "-c",
        str(on_cpus),
        "--run_dir",
        str(tmp_path / "R"),
    ]
    command += ["--model.checkpoint", str(encoder), "--model.n_clusters", "8", "--data.corpus.path", str(tiny_manifest)]
    command += ["--data.design.n_units", "24", "--data.design.n_auxiliary", "8", "--data.batch_seconds", "4"]
    ran = subprocess.run([*command, "--trainer.max_epochs", "2"], capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr[-3000:]
    like = PretrainedEncoder(str(encoder), n_clusters=8, learning_rate=1e-3)  # as the config has it
    initial = {name: value.clone() for name, value in like.encoder.state_dict().items()}
    trained = load_model(tmp_path / "R" / "target" / "model.ckpt", like)
    final = trained.encoder.state_dict()
    assert final.keys() == initial.keys()
    assert all(value.shape == initial[name].shape for name, value in final.items())
    learned = [name for name, _ in trained.encoder.named_parameters() if not torch.equal(initial[name], final[name])]
    assert any(".layers.1." in name for name in learned)
    assert all(torch.isfinite(value).all() for value in final.values())
