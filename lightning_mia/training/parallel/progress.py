"""One progress display over a whole fleet: each model is worth one, trained and asked."""

import sys
from typing import Any

import lightning as L
from tqdm import tqdm

from lightning_mia.training.parallel.scheduler import Tell


class ShareDone:
    """Counts the parts of a task (a training, then one probe a group), all of one weight.

    Args:
        tell: is called with the share that was done since the last call.
        n_parts: parts of the task.
    """

    def __init__(self, tell: Tell, n_parts: int) -> None:
        self.tell, self.n_parts = tell, n_parts
        self.told = 0.0

    def so_far(self, share: float) -> None:
        """Tell what is new, where the share of the whole task that is done is this."""
        if share > self.told:
            self.tell(share - self.told)
            self.told = share

    def training(self) -> L.Callback:
        """Watches the training, the first part."""
        return _WatchTraining(lambda share: self.so_far(share / self.n_parts))

    def probing(self) -> L.Callback:
        """Watches the probes, one part each."""
        return _WatchProbes(lambda parts: self.so_far((1 + parts) / self.n_parts))


class _WatchTraining(L.Callback):
    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self.steps = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Read how many optimizer steps there are; a resumed training begins with those that are taken."""
        self.steps = trainer.estimated_stepping_batches
        self._tell(trainer)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tell the share of the optimizer steps that are taken."""
        self._tell(trainer)

    def _tell(self, trainer: L.Trainer) -> None:
        known = 0 < self.steps < float("inf")
        self.tell(min(1.0, trainer.global_step / self.steps) if known else 0.0)


class _WatchProbes(L.Callback):
    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self.n_before = 0

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Tell the probes that are done, the share of the present one included."""
        self.tell(self.n_before + (batch_idx + 1) / max(1, sum(trainer.num_predict_batches)))

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Count a probe."""
        self.n_before += 1


class FleetBar:
    """A bar from 0 to the number of models.

    Args:
        what: what is done, in words.
        n_models: models of the fleet.
        enabled: whether it is shown.
        unit: what is counted, in the plural.
    """

    def __init__(self, what: str, n_models: int, enabled: bool, unit: str = "models") -> None:
        self.bar = tqdm(
            total=n_models,
            desc=what,
            dynamic_ncols=True,
            file=sys.stderr,
            disable=not enabled,
            mininterval=0.5,
            bar_format=f"{{desc}}: {{percentage:3.0f}}%|{{bar}}| {{n:.1f}}/{{total}} {unit} "
            "[{elapsed}<{remaining}]",
        )

    def __enter__(self) -> "FleetBar":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def advance(self, share: float) -> None:
        """Move by a share of one model; never beyond the end, which shares may exceed by their rounding."""
        self.bar.update(min(share, self.bar.total - self.bar.n))
