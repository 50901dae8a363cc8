"""A callback that measures, while a model trains, how much it tells of its members."""

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
from lightning_mia.audit.monitor.online_probe import ask
from lightning_mia.audit.monitor.records import COMPARED, as_table, draw_maps, draw_measurement, scalars, write_table
from lightning_mia.audit.monitor.stopping import HELD_OUT_LOSS, NO_AUXILIARY, Bound, Patience, held_out_loss
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.training.callbacks import Snapshot, go_back, take_snapshot
from lightning_mia.utilities.errors import InputError

log = logging.getLogger(__name__)


class LeakageMonitor(Callback):
    """Measures leakage before the first epoch, every few epochs, and after the last one.

    Each measurement asks the model, as it is then, about one challenge set under masks that stay the same, runs attacks
    that need neither shadow models nor frames, and logs of each the AUROC with its interval over speakers, the gap
    between the mean scores of members and of others, the ROC and the scores. The training does not notice: its weights
    end equal to the bit with and without a monitor. `leakage.csv` in the Trainer's `default_root_dir` keeps what was
    measured, and a resumed training goes on with it.

    An audit tells its monitor who is a member, and has its target watched alone, not the shadow models or controls. In
    a training of your own, say so by `of`:

        data = SpeechDataModule(Manifest("manifest.csv"))
        data.load(Path("split.csv"))
        monitor = LeakageMonitor(every_n_epochs=5).of(data)
        recordings = data.training_recordings(data.split.training_ids(), seed=0)
        Trainer(max_epochs=50, callbacks=[monitor]).fit(TERA(), datamodule=recordings)

    With `stop_above` the training ends at the first measurement where an attack is above the bound, and the model is
    that of the measurement before. The figure that counts is the AUROC itself, by default. All measurements ask about
    the same recordings, so that their errors go together: the AUROC of one training wanders little by chance, and 0.6
    means 0.6 on this challenge set. The upper end of the interval (`stop_by: upper_bound`) is the choice where the
    bound shall hold for other recordings too; it is wide where the challenge set is small (about 0.58 at an AUROC of
    0.5 with 100 members and 100 others).

    With `patience` the training ends where speech that it does not train on stops gaining: early stopping by the
    pretext loss of the auxiliary recordings, which no attack is judged on. The model is that of the lowest one.

    Args:
        every_n_epochs: epochs between two measurements.
        attacks: attacks that need neither shadow models nor frames; by default the pretext loss and the similarity of
            the split's level.
        layers: `all` measures attacks that read one layer at every layer.
        stop_above: bound on the AUROC of every attack, between 0.5 and 1; of a two-sided attack on 1 − AUROC too.
        stop_by: what is compared with it: the AUROC itself, or the upper end of its 95 % interval.
        probe: how signals are taken.
        patience: measurements without a lower held-out pretext loss after which the training ends.

    Attributes:
        rows: what was measured, the rows of `leakage.csv`.
        figures: the logged figures by which TensorBoard compares trainings.
        stopped: why the training ended early; empty: it did not.

    Raises:
        InputError: an attack needs more than the model's signals, or a setting makes no sense.
    """

    def __init__(
        self,
        every_n_epochs: int = 10,
        attacks: list[Attack] | None = None,
        layers: Literal["last", "all"] = "last",
        stop_above: float | None = None,
        stop_by: Literal["estimate", "upper_bound"] = "estimate",
        probe: ProbeSettings = ProbeSettings(),
        patience: int | None = None,
    ) -> None:
        if every_n_epochs < 1:
            raise InputError(f"every_n_epochs of LeakageMonitor is {every_n_epochs}: give 1 or more")
        self.every_n_epochs, self.layers, self.probe = every_n_epochs, layers, probe
        self.attacks: Sequence[Attack] = attacks or [PretextLoss(), UtteranceSimilarity(), SpeakerSimilarity()]
        _check_attacks(self.attacks)
        self.bound = None if stop_above is None else Bound(stop_above, stop_by)
        self.patience = None if patience is None else Patience(patience)
        self.challenge: ChallengeSet | None = None
        self._forget()

    def _forget(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.kept: Snapshot | None = None
        self.figures: list[str] = []
        self.stopped = ""
        self.measured_at = -1  # optimizer steps

    def of(self, data: SpeechDataModule) -> "LeakageMonitor":
        """Say who is a member: the split of a data module that is loaded."""
        self.challenge = ChallengeSet.of(data)
        return self

    def fingerprint(self) -> dict[str, Any] | None:
        """What changes the training that it watches, for the hash of a stage; None: nothing does."""
        if not self.limits:
            return None
        settings: dict[str, Any] = {
            "every_n_epochs": self.every_n_epochs,
            "probe": self.probe.answers.fingerprint(),
        }
        if self.patience:
            settings["patience"] = self.patience.measurements
        if self.bound:
            settings |= {
                "above": self.bound.above,
                "by": self.bound.by,
                "attacks": [
                    {"name": one.name, "groups": [group.fingerprint() for group in one.groups]} for one in self.attacks
                ],
                "layers": self.layers,
            }
        return settings

    @property
    def limits(self) -> list[str]:
        """The options by which it can end a training early."""
        return [name for name, limit in (("stop_above", self.bound), ("patience", self.patience)) if limit]

    @property
    def notes(self) -> list[str]:
        """What the report should say of the training."""
        return [self.stopped] if self.stopped else []

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Begin with an empty table; that of a resumed training comes with its checkpoint.

        Raises:
            InputError: nobody said who is a member, there is nothing to be patient by, or the weights are spread over
                processes.
        """
        if self.challenge is None:
            raise InputError("LeakageMonitor does not know the members: give it a loaded data module by `of`")
        if self.patience and not len(self.challenge.auxiliary):
            raise InputError(NO_AUXILIARY)
        if not isinstance(trainer.strategy, (SingleDeviceStrategy, DDPStrategy)):
            raise InputError(
                f"LeakageMonitor asks models that every process holds whole, which {type(trainer.strategy).__name__} "
                "does not do: leave it out, or choose the strategy ddp"
            )
        self._forget()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure the model as it was initialised."""
        if not self.rows:
            self._measure(trainer, pl_module, trainer.current_epoch)
        elif self.stopped:  # an earlier start was interrupted before it could go back
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure where it is time."""
        epoch = trainer.current_epoch + 1
        if epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs:
            self._measure(trainer, pl_module, epoch, ends=epoch == trainer.max_epochs)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure what the training ends with, where it ended early."""
        if self.measured_at != trainer.global_step and not self.stopped:
            self._measure(trainer, pl_module, trainer.current_epoch, ends=True)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw the maps of layers and epochs, and go back to the last measurement that kept the bound."""
        if trainer.is_global_zero and self.rows:
            draw_maps(trainer, as_table(self.rows))
        if self.stopped:
            assert self.kept is not None
            go_back(trainer, pl_module, self.kept)
            log.info("%s", self.stopped)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training goes on with."""
        return {"rows": self.rows, "kept": self.kept, "stopped": self.stopped, "measured_at": self.measured_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the interrupted training stopped."""
        self.rows, self.kept = state_dict["rows"], state_dict["kept"]
        self.stopped, self.measured_at = state_dict["stopped"], state_dict["measured_at"]

    def groups(self) -> list[SignalGroup]:
        """The groups of signals that the attacks read, that of every probe first."""
        groups: dict[str, SignalGroup] = {self.probe.answers.prefix: self.probe.answers}
        for attack in self.attacks:
            groups |= {group.prefix: group for group in attack.groups}
        return list(groups.values())

    def _measure(self, trainer: L.Trainer, model: L.LightningModule, epoch: int, ends: bool = False) -> None:
        assert isinstance(model, SpeechModel) and self.challenge is not None
        start = time.perf_counter()
        signals = ask(model, self.groups(), self.challenge, self.probe, trainer)
        found, skipped = measure_leakage(signals, self.challenge, self.attacks, self.layers == "all")
        if not found:
            raise InputError(f"LeakageMonitor has no attack that it can run on this model: {' '.join(skipped)}")
        self.measured_at = trainer.global_step
        metrics = dict(scalars(found, signals, self.challenge))
        self.figures = [name for name in metrics if name.endswith(COMPARED)]
        self.rows += [{"epoch": epoch, "step": trainer.global_step, **one.row()} for one in found]
        if trainer.is_global_zero:
            write_table(Path(trainer.default_root_dir), self.rows)
            plain = [one for one in found if self.layers == "last" or one.name == one.attack]
            _log(trainer, metrics, plain)
        if self.limits and not self.stopped:
            self._stop_where_due(trainer, model, found, epoch, ends)
        model.exclude_time(time.perf_counter() - start)

    def _stop_where_due(
        self, trainer: L.Trainer, model: SpeechModel, found: Sequence[Leakage], epoch: int, ends: bool
    ) -> None:
        """End the training where a limit is reached; else keep what it may have to go back to."""
        beyond = self.bound.passed(found) if self.bound else None
        if self.bound and beyond:
            if self.kept is None:
                raise InputError(self.bound.hopeless(beyond))
            self.stopped = self.bound.told(beyond, epoch, self.kept["epochs"])
        elif self.patience:
            assert self.challenge is not None
            loss = held_out_loss(model, self.challenge, self.probe, trainer)
            if self.patience.improves(loss, self.kept):
                self.kept = {**take_snapshot(trainer, model, epoch), HELD_OUT_LOSS: loss}
            else:
                assert self.kept is not None
                self.stopped = self.patience.over(loss, epoch, self.kept, self.every_n_epochs, ends)
        else:
            self.kept = take_snapshot(trainer, model, epoch)
        trainer.should_stop = trainer.should_stop or bool(self.stopped)


def _check_attacks(attacks: Sequence[Attack]) -> None:
    for attack in attacks:
        if attack.least_shadows or attack.needs_frames:
            what = "shadow models" if attack.least_shadows else "frames"
            raise InputError(f"LeakageMonitor cannot run {attack.name}, which needs {what}; choose another attack")
    names = [attack_name(attack) for attack in attacks]
    if len(set(names)) < len(names):
        raise InputError("LeakageMonitor has an attack twice; for several layers give layers: all")


def _log(trainer: L.Trainer, metrics: dict[str, float], drawn: Sequence[Leakage]) -> None:
    for logger in trainer.loggers:
        logger.log_metrics(metrics, step=trainer.global_step)
        if isinstance(logger, TensorBoardLogger):
            draw_measurement(logger.experiment, drawn, trainer.global_step)
