"""Progress of a training: its own bar, or work in a shared one."""

import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar

from lightning_mia.corpora.loading.datasets import TrainingRecordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.utilities.progress_bar import Progress, tqdm


def epoch_work(model: SpeechModel, recordings: TrainingRecordings) -> float:
    """Return the work of an epoch: audio (seconds) times passes."""
    return model.step_passes * float(recordings.epoch().durations.sum())


class TrainingWork(L.Callback):
    """Counts the work of a training.

    Args:
        progress: takes the work.
        epoch: work of an epoch.
    """

    def __init__(self, progress: Progress, epoch: float) -> None:
        self.progress, self.epoch, self.step = progress, epoch, 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave out the epochs that were trained before an interruption."""
        self.step = self.epoch / max(1, int(trainer.num_training_batches))
        self.progress.skip(self.epoch * trainer.current_epoch)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a batch."""
        self.progress.advance(self.step)


class StageProgressBar(ProgressBar):
    """Bar over all steps of a training.

    Args:
        stage: label of the bar.
    """

    def __init__(self, stage: str) -> None:
        super().__init__()
        self.stage = stage
        self.enabled = True
        self.bar: tqdm | None = None

    def disable(self) -> None:
        """Hide the bar, on all processes but the first."""
        self.enabled = False

    def enable(self) -> None:
        """Show the bar again."""
        self.enabled = True

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the bar at the current step."""
        total = trainer.estimated_stepping_batches
        self.bar = tqdm(
            total=int(total) if 0 < total < float("inf") else None,
            initial=trainer.global_step,
            desc=self.stage,
            unit="step",
            dynamic_ncols=True,
            file=sys.stderr,
            disable=not self.enabled,
            mininterval=0.5,
        )

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance to the current optimizer step; show health metrics."""
        bar = self.bar
        if bar is not None and bar.update(trainer.global_step - bar.n):
            metrics = {key: value for key, value in self.get_metrics(trainer, pl_module).items() if key != "v_num"}
            bar.set_postfix({"epoch": trainer.current_epoch, **metrics}, refresh=False)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Close the bar."""
        self._close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Close the bar before the error is printed."""
        self._close()
