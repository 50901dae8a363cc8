"""Lightning callback that measures membership leakage during training."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

from lightning_mia.attacks import Attack, PretextLoss, SpeakerSimilarity, UtteranceSimilarity
from lightning_mia.audit.monitor.leakage import ChallengeSet, Leakage, attack_name, measure_leakage
from lightning_mia.audit.monitor.online_probe import probe_online
from lightning_mia.audit.monitor.records import COMPARED, as_table, draw_maps, draw_measurement, scalars, write_table
from lightning_mia.audit.monitor.stopping import HELD_OUT_LOSS, NO_AUXILIARY, Bound, Patience, held_out_loss
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.splits.data_module import SplitCorpus
from lightning_mia.training.callbacks import Snapshot, restore_snapshot, take_snapshot
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import Count, InnerShare, check_ranges

log = logging.getLogger(__name__)

DEFAULT_PROBE = ProbeSettings()


class LeakageMonitor(Callback):
    """Measures leakage before, during and after training.

    Each measurement probes the model on one challenge set under fixed masks and runs attacks that need neither shadow
    models nor frames. It logs each attack's AUROC with an interval over speakers, the gap between the mean scores of
    members and non-members, the ROC and the scores. Training is not affected: the weights are identical to the bit with
    and without a monitor. `leakage.csv` in the Trainer's `default_root_dir` lists the measurements; a resumed training
    run continues it.

    An audit attaches its own data to the monitor, and monitors only the target. In your own training script, call
    `attach`:

        data = SpeechDataModule(Manifest("manifest.csv")).load(Path("split.csv"))
        monitor = LeakageMonitor(every_n_epochs=5).attach(data)
        recordings = data.training_recordings(data.split.training_ids(), seed=0)
        Trainer(max_epochs=50, callbacks=[monitor]).fit(TERA(), datamodule=recordings)

    With `stop_above`, training ends at the first measurement at which an attack exceeds the bound, and the model is
    restored from the previous measurement. By default the AUROC itself is compared: it fluctuates little within a
    training run, since all measurements probe the same recordings, but a bound of 0.6 then holds on this challenge set
    only. For a bound that holds on other recordings too, compare the upper end of the interval
    (`stop_by: upper_bound`), which is far from the AUROC for a small challenge set (about 0.58 at an AUROC of 0.5 with
    100 members and 100 non-members).

    With `patience`, training stops early on the pretext loss of the auxiliary recordings, on which no attack is
    evaluated. The model is restored from the lowest loss.

    Args:
        every_n_epochs: epochs between two measurements.
        attacks: attacks that need neither shadow models nor frames; by default the pretext loss and the similarity at
            the split's level.
        layers: `all` measures attacks that read one layer at every layer.
        stop_above: upper bound on the AUROC of every attack, between 0.5 and 1; for a two-sided attack also on
            1 − AUROC.
        stop_by: quantity compared with the bound: the AUROC itself, or the upper end of its 95 % interval.
        probe: settings of the probe.
        patience: measurements without a lower held-out pretext loss after which training ends.

    Attributes:
        rows: measurements, the rows of `leakage.csv`.
        metrics: names of the logged metrics by which TensorBoard compares training runs.
        stopped: reason for an early end; empty: none.

    Raises:
        InputError: an attack needs shadow models or frames, or a setting is out of range.

    Example:
        >>> monitor = LeakageMonitor(every_n_epochs=5, attacks=[PretextLoss()], stop_above=0.6)
        >>> monitor.limits, [group.name for group in monitor.groups()]
        (['stop_above'], ['answers'])
    """

    def __init__(
        self,
        every_n_epochs: Count = 10,
        attacks: list[Attack] | None = None,
        layers: Literal["last", "all"] = "last",
        stop_above: InnerShare | None = None,
        stop_by: Literal["estimate", "upper_bound"] = "estimate",
        probe: ProbeSettings = DEFAULT_PROBE,
        patience: Count | None = None,
    ) -> None:
        numbers = {"every_n_epochs": every_n_epochs, "patience": patience}
        check_ranges(LeakageMonitor.__init__, numbers, "LeakageMonitor.")
        self.every_n_epochs, self.layers, self.probe = every_n_epochs, layers, probe
        self.attacks: Sequence[Attack] = attacks or [PretextLoss(), UtteranceSimilarity(), SpeakerSimilarity()]
        _check_attacks(self.attacks)
        self.bound = None if stop_above is None else Bound(stop_above, stop_by)
        self.patience = None if patience is None else Patience(patience)
        self.challenge: ChallengeSet | None = None
        self._reset()

    def _reset(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.snapshot: Snapshot | None = None
        self.metrics: list[str] = []
        self.stopped = ""
        self.measured_at = -1  # optimizer steps

    def attach(self, data: SplitCorpus) -> "LeakageMonitor":
        """Take members and non-members from a loaded split."""
        self.challenge = ChallengeSet.from_data(data)
        return self

    def fingerprint(self) -> dict[str, Any] | None:
        """Return the settings that affect training; None without limits."""
        if not self.limits:
            return None
        settings: dict[str, Any] = {
            "every_n_epochs": self.every_n_epochs,
            "probe": self.probe.encoder_outputs.fingerprint(),
        }
        if self.patience:
            settings["patience"] = self.patience.measurements
        if self.bound:
            settings |= {
                "above": self.bound.above,
                "by": self.bound.by,
                "attacks": [
                    {"name": attack.name, "groups": [group.fingerprint() for group in attack.groups]}
                    for attack in self.attacks
                ],
                "layers": self.layers,
            }
        return settings

    @property
    def limits(self) -> list[str]:
        """Options by which the monitor can end training early."""
        return [name for name, limit in (("stop_above", self.bound), ("patience", self.patience)) if limit]

    @property
    def notes(self) -> list[str]:
        """Sentences for the report."""
        return [self.stopped] if self.stopped else []

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Clear the measurements; a resumed run restores its own.

        Raises:
            InputError: no split is attached, patience has no auxiliary recordings, or the weights are sharded.
        """
        if self.challenge is None:
            raise InputError("LeakageMonitor has no members and non-members: call `attach` with a loaded split")
        if self.patience and not len(self.challenge.auxiliary):
            raise InputError(NO_AUXILIARY)
        if not isinstance(trainer.strategy, (SingleDeviceStrategy, DDPStrategy)):
            raise InputError(
                f"LeakageMonitor needs the whole model on every process, which {type(trainer.strategy).__name__} does "
                "not keep: leave it out, or choose the strategy ddp"
            )
        self._reset()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure the initial model."""
        if not self.rows:
            self._measure(trainer, pl_module, trainer.current_epoch)
        elif self.stopped:  # an earlier run was interrupted before it could restore the snapshot
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure if a measurement is due."""
        epoch = trainer.current_epoch + 1
        if epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs:
            self._measure(trainer, pl_module, epoch, ends=epoch == trainer.max_epochs)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure the final model if training ended otherwise."""
        if self.measured_at != trainer.global_step and not self.stopped:
            self._measure(trainer, pl_module, trainer.current_epoch, ends=True)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw the layer maps; restore the snapshot if stopped."""
        if trainer.is_global_zero and self.rows:
            draw_maps(trainer, as_table(self.rows))
        if self.stopped:
            assert self.snapshot is not None
            restore_snapshot(trainer, pl_module, self.snapshot)
            log.info("%s", self.stopped)

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed training restores."""
        return {"rows": self.rows, "kept": self.snapshot, "stopped": self.stopped, "measured_at": self.measured_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of an interrupted training."""
        self.rows, self.snapshot = state_dict["rows"], state_dict["kept"]
        self.stopped, self.measured_at = state_dict["stopped"], state_dict["measured_at"]

    def groups(self) -> list[SignalGroup]:
        """Return the attacks' signal groups, pooled vectors first."""
        groups: dict[str, SignalGroup] = {self.probe.encoder_outputs.prefix: self.probe.encoder_outputs}
        for attack in self.attacks:
            groups |= {group.prefix: group for group in attack.groups}
        return list(groups.values())

    def _measure(self, trainer: L.Trainer, model: L.LightningModule, epoch: int, ends: bool = False) -> None:
        assert isinstance(model, SpeechModel) and self.challenge is not None
        start = time.perf_counter()
        signals = probe_online(model, self.groups(), self.challenge, self.probe, trainer)
        leakages, skipped = measure_leakage(signals, self.challenge, self.attacks, self.layers == "all")
        if not leakages:
            raise InputError(f"LeakageMonitor has no attack that it can run on this model: {' '.join(skipped)}")
        self.measured_at = trainer.global_step
        metrics = dict(scalars(leakages, signals, self.challenge))
        self.metrics = [name for name in metrics if name.endswith(COMPARED)]
        self.rows += [{"epoch": epoch, "step": trainer.global_step, **leakage.row()} for leakage in leakages]
        if trainer.is_global_zero:
            write_table(Path(trainer.default_root_dir), self.rows)
            drawn = [leakage for leakage in leakages if self.layers == "last" or leakage.name == leakage.attack]
            _log(trainer, metrics, drawn)
        if self.limits and not self.stopped:
            self._apply_limits(trainer, model, leakages, epoch, ends)
        model.exclude_time(time.perf_counter() - start)

    def _apply_limits(
        self, trainer: L.Trainer, model: SpeechModel, leakages: Sequence[Leakage], epoch: int, ends: bool
    ) -> None:
        """Stop at a limit; otherwise update the snapshot."""
        worst = self.bound.exceeded_by(leakages) if self.bound else None
        if self.bound and worst:
            if self.snapshot is None:
                raise InputError(self.bound.too_strict_message(worst))
            self.stopped = self.bound.stop_message(worst, epoch, self.snapshot["epochs"])
        elif self.patience:
            assert self.challenge is not None
            loss = held_out_loss(model, self.challenge, self.probe, trainer)
            if self.snapshot is None or self.patience.improves(loss, self.snapshot):
                self.snapshot = {**take_snapshot(trainer, model, epoch), HELD_OUT_LOSS: loss}
            else:
                self.stopped = self.patience.stop_message(loss, epoch, self.snapshot, self.every_n_epochs, ends)
        else:
            self.snapshot = take_snapshot(trainer, model, epoch)
        trainer.should_stop = trainer.should_stop or bool(self.stopped)


def _check_attacks(attacks: Sequence[Attack]) -> None:
    for attack in attacks:
        trains = any(group.trains_further for group in attack.groups)
        if attack.min_shadows or attack.needs_frames or trains:
            what = "shadow models" if attack.min_shadows else "further training" if trains else "frames"
            raise InputError(f"LeakageMonitor cannot run {attack.name}, which needs {what}; choose another attack")
    names = [attack_name(attack) for attack in attacks]
    if len(set(names)) < len(names):
        raise InputError("LeakageMonitor has the same attack twice; for all layers use layers: all")


def _log(trainer: L.Trainer, metrics: dict[str, float], drawn: Sequence[Leakage]) -> None:
    for logger in trainer.loggers:
        logger.log_metrics(metrics, step=trainer.global_step)
        if isinstance(logger, TensorBoardLogger):
            draw_measurement(logger.experiment, drawn, trainer.global_step)
