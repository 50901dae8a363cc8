"""A tiny data module, and trainings of a tiny model on its members."""

from collections.abc import Callable
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from lightning_mia.corpora import Manifest
from lightning_mia.models.hubert import MelHuBERT
from lightning_mia.models.tera import TERA
from lightning_mia.splits import UtteranceDesign
from lightning_mia.splits.data_module import SpeechDataModule, SplitCorpus


def tiny_hubert() -> MelHuBERT:
    torch.manual_seed(0)
    return MelHuBERT(n_layers=2, dim=16, n_heads=2, feedforward_dim=32, dropout=0.1, n_clusters=8, code_dim=8)


def tiny_tera() -> TERA:
    torch.manual_seed(0)
    return TERA(n_mels=20, n_layers=2, dim=16, n_heads=2, feedforward_dim=32, dropout=0.1)


@pytest.fixture(scope="session")
def data(tiny_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> SplitCorpus:
    """A loaded data module: 24 members, 24 others, 24 auxiliary recordings; two batches an epoch."""
    data = SpeechDataModule(
        Manifest(str(tiny_manifest)), UtteranceDesign(n_units=48, n_auxiliary=24), batch_seconds=8.0
    )
    return data.load(tmp_path_factory.mktemp("split") / "split.csv")


Fit = Callable[..., L.LightningModule]


@pytest.fixture
def fit(data: SplitCorpus, tmp_path: Path) -> Fit:
    """Train on the members by a Trainer of one's own, which seeds nothing, and return the model."""

    def run(
        *callbacks: Callback, model: L.LightningModule | None = None, folder: Path = tmp_path, **options: object
    ) -> L.LightningModule:
        model = model or tiny_tera()
        options = {"max_epochs": 4, "logger": False, "enable_checkpointing": False, **options}
        trainer = L.Trainer(
            accelerator="cpu",
            devices=1,
            default_root_dir=folder,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=list(callbacks),
            **options,
        )
        torch.manual_seed(1)
        trainer.fit(model, datamodule=data.training_recordings(data.split.training_ids(), seed=0))
        return model

    return run
