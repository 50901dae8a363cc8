"""Progress bar of a whole stage."""

import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar

from lightning_mia.utilities.progress_bar import tqdm


class StageProgressBar(ProgressBar):
    """Bar over all steps of a training or probe.

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

    def _open(self, total: float, initial: int, unit: str) -> None:
        total_steps = int(total) if 0 < total < float("inf") else None
        self.bar = tqdm(
            total=total_steps,
            initial=initial,
            desc=self.stage,
            unit=unit,
            dynamic_ncols=True,
            file=sys.stderr,
            disable=not self.enabled,
            mininterval=0.5,
        )

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the bar at the current step."""
        self._open(trainer.estimated_stepping_batches, trainer.global_step, "step")

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

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the bar."""
        self._open(sum(trainer.num_predict_batches), 0, "batch")

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Advance by one batch."""
        if self.bar is not None:
            self.bar.update(1)

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Close the bar."""
        self._close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Close the bar before the error is printed."""
        self._close()
