"""Short trainings on fixed batches, with nothing around them."""

from collections.abc import Iterable

import lightning as L
from torch.utils.data import DataLoader

from lightning_mia.corpora.loading.batch import Batch


class Recordings(L.LightningDataModule):
    """Fixed batches, and a count of the passes over the training recordings for targets."""

    def __init__(self, batches: list[Batch]) -> None:
        super().__init__()
        self.batches, self.target_passes = batches, 0

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self.batches, batch_size=None)

    def training_waveforms(self) -> Iterable[Batch]:
        self.target_passes += 1
        return self.batches


class Figures(L.Callback):
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: L.Trainer, *args: object) -> None:
        self.rows.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def bare_trainer(epochs: int, *callbacks: L.Callback) -> L.Trainer:
    """A Trainer that logs every step, clips gradients, and writes and prints nothing."""
    return L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        log_every_n_steps=1,
        callbacks=list(callbacks),
        gradient_clip_val=1.0,
    )
