"""Commands with a model: methods of `AuditTrainer`, and their command line."""

import copy
import shlex
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from lightning_mia.audit.audit import Audit
from lightning_mia.audit.audit_run import AuditRun
from lightning_mia.audit.configs import with_paths
from lightning_mia.audit.monitor import LeakageMonitor, MonitorSettings
from lightning_mia.audit.options import DEFAULT_OPTIONS, AuditOptions
from lightning_mia.audit.positive_control import positive_control, positive_control_note
from lightning_mia.audit.summary import print_summary
from lightning_mia.audit.upload import RESULTS_URL, ResultsUploader, files_of_run
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.training.dp_sgd import PerExampleGradients
from lightning_mia.training.parallel.settings import FleetSettings
from lightning_mia.training.train import Trained
from lightning_mia.training.trainer_factory import NO_CLIPPING, TrainerFactory, as_callbacks
from lightning_mia.utilities.environment import settle_threads
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import check_folder
from lightning_mia.utilities.lightning import quieten
from lightning_mia.utilities.parser import Parser


class AuditTrainer(Trainer):
    """Trainer that runs audits.

    Its options set how every model is trained and on what device it is probed. The models themselves use fresh
    Trainers with the same options, since a Trainer keeps the state of its last run.

    Args:
        per_example: per-example gradient clipping and noise (DP-SGD), in every training.
        stop_after_epochs: stop every training after this many epochs, with the learning rates of max_epochs: the model
            is a checkpoint of the longer training.
        keep_epochs: keep a checkpoint after each of these epochs, from which a run with that stop_after_epochs can
            start; does not change the models.
        kwargs: options of `lightning.Trainer`.

    Attributes:
        config_yaml: all settings of the run, for the report.
        command: command that repeats the run, for the report.
        uploader: uploads results during the run.

    Raises:
        InputError: the callbacks include several leakage monitors, or an option has no place in an audit.

    Example:
        >>> trainer = AuditTrainer(max_epochs=20, accelerator="cpu", logger=False)
        >>> trainer.factory.fingerprint()["max_epochs"]
        20

        `trainer.audit(model, data, AuditOptions(run_dir="runs/x"))` then runs an audit and returns its report.
    """

    def __init__(
        self,
        per_example: PerExampleGradients = NO_CLIPPING,
        stop_after_epochs: int | None = None,
        keep_epochs: list[int] | None = None,
        **kwargs: Any,
    ) -> None:
        # A copy, before this Trainer attaches itself to a strategy.
        options = copy.deepcopy(kwargs)
        options |= {"per_example": per_example, "stop_after_epochs": stop_after_epochs, "keep_epochs": keep_epochs}
        self._leakage_monitor = _remove_leakage_monitor(options)
        self.factory = TrainerFactory(options)
        super().__init__(**kwargs)
        self.config_yaml = ""
        self.command = ""
        self.uploader: ResultsUploader | None = None

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
        return self._open(model, datamodule, replace(options, fleet=FleetSettings())).fit_target().checkpoint

    def shadow(self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions = DEFAULT_OPTIONS) -> Path:
        """Train the missing shadow models, resuming interrupted ones.

        Args:
            model: class and configuration of the target and of every shadow model.
            datamodule: corpus and design of the split.
            options: run directory and shadow models.

        Returns:
            The folder of the shadow models.

        Raises:
            InputError: no shadow models are requested, or the monitor may stop the target's training early.
        """
        if not options.fleet.size:
            raise InputError("fleet.size is 0: give the number of shadow models to train, such as --fleet.size 16")
        run = self._open(model, datamodule, options)
        run.train_shadow_models()
        return run.run_dir / "shadows"

    def attack(self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions = DEFAULT_OPTIONS) -> Path:
        """Probe a trained target and its controls, attack and report.

        Args:
            model: class and configuration of the target.
            datamodule: corpus and design of the split.
            options: of the audit; `target_checkpoint` may name a target from elsewhere.

        Returns:
            The report's page.
        """
        run = self._open(model, datamodule, options)
        audit = Audit(run, options)
        return self._report(audit, run.load_target(Path(path) if (path := options.target_checkpoint) else None))

    def audit(self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions = DEFAULT_OPTIONS) -> Path:
        """Train the target, probe, attack and report.

        Args:
            model: class and configuration of the target.
            datamodule: corpus and design of the split.
            options: of the audit.

        Returns:
            The report's page.
        """
        run = self._open(model, datamodule, options)
        audit = Audit(run, options)
        return self._report(audit, run.fit_target())

    def monitor_for(self, settings: MonitorSettings, probe: ProbeSettings) -> LeakageMonitor | None:
        """Return the leakage monitor of the options or the callbacks.

        Args:
            settings: of the option `monitor`.
            probe: how signals are computed.

        Raises:
            InputError: there are two monitors, or both the monitor and `stop_after_epochs` stop the training.
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

    def _open(self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions) -> AuditRun:
        monitor = self.monitor_for(options.monitor, options.probe)
        return AuditRun.open(model, datamodule, self.factory, options, monitor, self.uploader)

    def _report(self, audit: Audit, target: Trained) -> Path:
        exposures = positive_control(audit, target) if audit.options.positive_control else ()
        notes = [positive_control_note(exposures)] if exposures else []
        return audit.report(target, self.config_yaml, self.command, exposures, notes)


def _remove_leakage_monitor(options: dict[str, Any]) -> LeakageMonitor | None:
    """Remove the leakage monitor from the callbacks.

    Every model is trained with the callbacks, but only the target is monitored.
    """
    callbacks = as_callbacks(options.get("callbacks"))
    monitors = [callback for callback in callbacks if isinstance(callback, LeakageMonitor)]
    if not monitors:
        return None
    if len(monitors) > 1:
        raise InputError("trainer.callbacks has several LeakageMonitors: give one, with all attacks in its list")
    options["callbacks"] = [callback for callback in callbacks if callback not in monitors]
    return monitors[0]


COMMANDS = ("fit", "shadow", "attack", "audit")
SHADOW_MODELS = 16
"""Default of `shadow --fleet.size`; the other commands train none by default."""

BARE_FLAGS = ("--positive_control",)


class _Parser(Parser, LightningArgumentParser):
    pass


class AuditCLI(LightningCLI):
    """Command line of `fit`, `shadow`, `attack` and `audit`, with typed options."""

    trainer: AuditTrainer
    commands: Sequence[str] = COMMANDS

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the arguments of `run`."""
        self.arguments = list(args)
        self.config = parser.parse_args(with_paths(args))

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Map commands to the method arguments that are not options."""
        return {command: {"model", "datamodule", "options"} for command in self.commands}

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        """Add the fields of `AuditOptions` as options without a prefix."""
        parser: LightningArgumentParser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        parser.add_class_arguments(AuditOptions, skip=set() if subcommand == "attack" else {"target_checkpoint"})
        if subcommand == "shadow":
            parser.set_defaults({"fleet.size": SHADOW_MODELS})
        return parser

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """Collect the options of a command in one object."""
        config = self.config_init[subcommand]
        options = {option.name: config[option.name] for option in fields(AuditOptions) if option.name in config}
        return {"model": self.model, "datamodule": self.datamodule, "options": AuditOptions(**options)}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add options of the command line alone."""
        parser.add_argument("--results_url", type=str | None, default=None, help=RESULTS_URL)

    def before_instantiate_classes(self) -> None:
        """Name the run directory after the config, unless it is given."""
        config = self.config[self.subcommand]
        if config.run_dir is None:
            name = Path(str(config.config[-1])).stem if config.config else "audit"
            config.run_dir = f"runs/{name}"
        check_folder(config.run_dir)
        self.uploader = ResultsUploader(config.results_url, Path(config.run_dir)) if config.results_url else None

    def instantiate_classes(self) -> None:
        """Create model, data and trainer, reporting refusals in one line."""
        try:
            super().instantiate_classes()
        except ValueError as error:  # jsonargparse lists, line by line, why it refused each type of a union
            reasons = [line.strip("- ") for line in str(error).splitlines() if line.lstrip().startswith("- ")]
            if "Does not validate" not in str(error) or not reasons:
                raise
            raise InputError(reasons[0]) from error

    def after_instantiate_classes(self) -> None:
        """Hand settings and command to the trainer, for the report."""
        settle_threads(sum(parameter.numel() for parameter in self.model.parameters()))
        self.trainer.config_yaml = self._parser(self.subcommand).dump(self.config[self.subcommand], skip_unset=False)
        self.trainer.command = shlex.join(["lightning-mia", *self.arguments])
        self.trainer.uploader = self.uploader

    def after_fit(self) -> None:
        """Print the path of the checkpoint."""
        if self.trainer.is_global_zero:
            print(f"checkpoint: {self._run_dir / 'target' / 'model.ckpt'}")
            self._upload()

    def after_shadow(self) -> None:
        """Print the folder of the shadow models."""
        if self.trainer.is_global_zero:
            print(f"shadow models: {self._run_dir / 'shadows'}")
            self._upload()

    def after_attack(self) -> None:
        """Print the results."""
        if self.trainer.is_global_zero:
            print_summary(self._run_dir / "report" / "report.html")
            self._upload()

    after_audit = after_attack

    def _upload(self) -> None:
        if self.uploader:
            self.uploader.update(files_of_run(self._run_dir), final=True)
            print(f"results: {self.uploader.url}")

    @property
    def _run_dir(self) -> Path:
        return Path(self.config[self.subcommand].run_dir)


def with_bare_flags(arguments: Sequence[str]) -> list[str]:
    """Give flags without a value the value true, which jsonargparse requires.

    >>> with_bare_flags(["attack", "--positive_control", "--run_dir", "R"])
    ['attack', '--positive_control=true', '--run_dir', 'R']
    """
    following = [*arguments[1:], "--"]
    return [
        f"{argument}=true" if argument in BARE_FLAGS and after.startswith("-") else argument
        for argument, after in zip(arguments, following, strict=True)
    ]


def run(arguments: list[str]) -> None:
    """Parse the arguments and run the command."""
    quieten()
    arguments = with_bare_flags(arguments)
    AuditCLI.commands = arguments[:1] if arguments[0] in COMMANDS else COMMANDS  # each parser takes 0.1 s to build
    make(AuditCLI, arguments)


def make(cli: type[AuditCLI], arguments: list[str], **parser_options: Any) -> AuditCLI:
    """Create a command line, which runs the command.

    Args:
        cli: its class.
        arguments: command and options.
        parser_options: further options of the parser.
    """
    return cli(
        SpeechModel,
        SpeechDataModule,
        subclass_mode_model=True,
        trainer_class=AuditTrainer,
        trainer_defaults={"max_epochs": 100, "log_every_n_steps": 10},
        save_config_callback=None,
        seed_everything_default=0,
        parser_class=_Parser,
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,
        parser_kwargs={
            "prog": "lightning-mia",
            **parser_options,
        },
        args=arguments,
    )
