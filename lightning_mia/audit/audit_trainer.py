"""`AuditTrainer`: audits from Python.

The command line calls the same methods.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from lightning_mia.attacks.runner.requirements import check_some_can_run
from lightning_mia.audit.audit import Audit
from lightning_mia.audit.audit_run import AuditRun
from lightning_mia.audit.monitor import LeakageMonitor, MonitorSettings
from lightning_mia.audit.options import DEFAULT_OPTIONS, AuditOptions
from lightning_mia.audit.positive_control import positive_control, positive_control_note
from lightning_mia.audit.upload import ResultsUploader
from lightning_mia.models.base import SpeechModel
from lightning_mia.report.notebook_report import NotebookReport
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.training.dp_sgd import PerExampleGradients
from lightning_mia.training.job_trainer import refusals_named
from lightning_mia.training.loggers import as_recipes
from lightning_mia.training.parallel.settings import FleetSettings
from lightning_mia.training.train import Trained
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.training.trainer_options import NO_CLIPPING, as_callbacks
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.lightning import is_first_process, quiet
from lightning_mia.utilities.progress_bar import progress_bars
from lightning_mia.utilities.ranges import Count, check_ranges
from lightning_mia.utilities.run_lock import locked


class AuditTrainer(Trainer):
    """Trainer that runs audits.

    Its options apply to every model that an audit trains or probes. Each model gets a fresh Trainer with these options,
    since a Trainer keeps the state of its last run.

    Args:
        per_example: per-example gradient clipping and noise (DP-SGD), for every model.
        stop_after_epochs: stop every training run after this many epochs, with the learning-rate schedule of
            max_epochs: the model is a checkpoint of the longer run.
        keep_epochs: keep a checkpoint after each of these epochs, from which a run with that stop_after_epochs can
            start; does not change the models.
        kwargs: options of `lightning.Trainer`.

    Attributes:
        factory: creates the Trainer of each model.

    Raises:
        InputError: the callbacks include several leakage monitors, an option would omit recordings, or Lightning
            refuses one.

    Example:
        >>> trainer = AuditTrainer(max_epochs=20, accelerator="cpu", logger=False)
        >>> trainer.factory.fingerprint()["max_epochs"]
        20

        An audit of a tiny TERA on a manifest:

            data = SpeechDataModule(Manifest("manifest.csv"), UtteranceDesign(n_units=200))
            report = trainer.audit(TERA(), data, AuditOptions(run_dir="runs/tera"))
            report.verdict.status, report.attack_table, report.page
    """

    def __init__(
        self,
        per_example: PerExampleGradients = NO_CLIPPING,
        stop_after_epochs: Count | None = None,
        keep_epochs: list[Count] | None = None,
        **kwargs: Any,
    ) -> None:
        # A copy, before this Trainer attaches itself to a strategy.
        options = copy.deepcopy({**kwargs, "logger": as_recipes(kwargs.get("logger"))})
        options |= {"per_example": per_example, "stop_after_epochs": stop_after_epochs, "keep_epochs": keep_epochs}
        check_ranges(AuditTrainer.__init__, options, "trainer.")
        self._leakage_monitor = _remove_leakage_monitor(options)
        self.factory = TrainerFactory(options)
        with quiet(), refusals_named(kwargs):
            super().__init__(**kwargs)
        self._config_yaml, self._command = "", ""
        self._uploader: ResultsUploader | None = None

    def use_command_line(self, config_yaml: str, command: str, uploader: ResultsUploader | None) -> None:
        """Print settings and command in reports, and upload results.

        Args:
            config_yaml: all settings of the run.
            command: command that repeats the run.
            uploader: uploads results during the run.
        """
        self._config_yaml, self._command, self._uploader = config_yaml, command, uploader

    def fit(  # type: ignore[override]
        self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions = DEFAULT_OPTIONS
    ) -> Path:
        """Train the target on its members, resuming an interrupted training.

        Args:
            model: class and configuration of the target.
            datamodule: corpus and design of the split.
            options: run directory, probe and monitor.

        Returns:
            The checkpoint.
        """
        with self._running(options):
            return self._open(model, datamodule, replace(options, fleet=FleetSettings())).fit_target().checkpoint

    def shadow(self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions = DEFAULT_OPTIONS) -> Path:
        """Train the missing shadow models, resuming interrupted ones.

        Args:
            model: class and configuration of target and shadow models.
            datamodule: corpus and design of the split.
            options: run directory and shadow models.

        Returns:
            The folder of the shadow models.

        Raises:
            InputError: no shadow models are requested, they were trained elsewhere, or the monitor may stop the
                target's training early.
        """
        if not options.fleet.size:
            raise InputError("fleet.size is 0: give the number of shadow models to train, such as --fleet.size 16")
        if options.fleet.checkpoints is not None:
            raise InputError(
                "fleet.checkpoints brings shadow models that were trained elsewhere, so there are none to train: give "
                "them to `lightning-mia attack`, or leave them out"
            )
        with self._running(options):
            self._open(model, datamodule, options).train_shadow_models()
        return options.folder / "shadows"

    def attack(
        self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions = DEFAULT_OPTIONS
    ) -> NotebookReport | None:
        """Probe a trained target and its controls, attack and report.

        Args:
            model: class and configuration of the target.
            datamodule: corpus and design of the split.
            options: options of the audit; `target_checkpoint` may be a target trained elsewhere.

        Returns:
            The report, with verdict, tables, figures and page; None on processes other than the first.
        """
        with self._running(options):
            audit = self._open_audit(model, datamodule, options, trains_target=False)
            audit.announce(with_target=False)
            checkpoint = Path(options.target_checkpoint).expanduser() if options.target_checkpoint else None
            return self._report(audit, audit.run.load_target(checkpoint))

    def audit(
        self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions = DEFAULT_OPTIONS
    ) -> NotebookReport | None:
        """Train the target, probe, attack and report.

        Args:
            model: class and configuration of the target.
            datamodule: corpus and design of the split.
            options: options of the audit.

        Returns:
            The report, with verdict, tables, figures and page; None on processes other than the first.
        """
        with self._running(options):
            audit = self._open_audit(model, datamodule, options)
            audit.announce(with_target=True)
            return self._report(audit, audit.run.fit_target())

    def monitor_for(self, settings: MonitorSettings, probe: ProbeSettings) -> LeakageMonitor | None:
        """Return the leakage monitor of the options or the callbacks.

        Args:
            settings: the option `monitor`.
            probe: how signals are computed.

        Raises:
            InputError: there are two monitors, or both a monitor and `stop_after_epochs` would end training.
        """
        monitor = settings.monitor(probe)
        if monitor and self._leakage_monitor:
            raise InputError("Leakage is monitored by monitor.… and by trainer.callbacks: leave one of them out")
        monitor = monitor or self._leakage_monitor
        if monitor and monitor.limits and self.factory.options.get("stop_after_epochs"):
            raise InputError(
                f"trainer.stop_after_epochs and a monitor with {' and '.join(monitor.limits)} both end the target's "
                "training: leave one of them out"
            )
        return monitor

    def _open(
        self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions, trains_target: bool = True
    ) -> AuditRun:
        monitor = self.monitor_for(options.monitor, options.probe)
        run = AuditRun.open(model, datamodule, self.factory, options, monitor, self._uploader, trains_target)
        run.check_split()
        return run

    def _open_audit(
        self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions, trains_target: bool = True
    ) -> Audit:
        audit = Audit(self._open(model, datamodule, options, trains_target), options)
        check_some_can_run(audit.attacks, audit.run.model, audit.run.split, len(options.fleet.references))
        return audit

    @contextmanager
    def _running(self, options: AuditOptions) -> Iterator[None]:
        """Lock the run directory; show only the requested bars, and no messages of Lightning about itself."""
        with locked(options.folder), quiet(), progress_bars(self.factory.shows_progress):
            yield

    def _report(self, audit: Audit, target: Trained) -> NotebookReport | None:
        exposures = positive_control(audit, target) if audit.options.positive_control else ()
        notes = [positive_control_note(exposures)] if exposures else []
        audit.report(target, self._config_yaml, self._command, exposures, notes)
        return NotebookReport.load(audit.options.folder) if is_first_process() else None


def _remove_leakage_monitor(options: dict[str, Any]) -> LeakageMonitor | None:
    """Remove the leakage monitor from the callbacks.

    Callbacks apply to every model, but only the target is monitored.
    """
    callbacks = as_callbacks(options.get("callbacks"))
    monitors = [callback for callback in callbacks if isinstance(callback, LeakageMonitor)]
    if not monitors:
        return None
    if len(monitors) > 1:
        raise InputError("trainer.callbacks has several LeakageMonitors: give one, with all attacks in its list")
    options["callbacks"] = [callback for callback in callbacks if callback not in monitors]
    return monitors[0]
