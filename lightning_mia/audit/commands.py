"""The verbs of the command line, as methods of a Trainer whose options hold for every model of an audit."""

import copy
import shlex
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from lightning_mia.audit.audit import Audit
from lightning_mia.audit.configs import with_paths
from lightning_mia.audit.options import DEFAULT_OPTIONS, AuditOptions
from lightning_mia.audit.positive_control import positive_control as run_positive_control
from lightning_mia.audit.positive_control import what_it_says
from lightning_mia.audit.run import AuditRun
from lightning_mia.audit.summary import print_summary
from lightning_mia.audit.upload import RESULTS_URL, ResultsUploader, files_of_run
from lightning_mia.models.base import SpeechModel
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.training.dp_sgd import PerExampleGradients
from lightning_mia.training.train import Trained
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.environment import settle_threads
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import check_folder
from lightning_mia.utilities.lightning import quieten
from lightning_mia.utilities.parser import Parser


class AuditTrainer(Trainer):
    """A Trainer that conducts audits.

    Its options say how each model is trained and on what device it is probed. The models themselves go through
    Trainers of their own, made with the same options, since a Trainer keeps the state of its last run.

    Args:
        per_example: gradients that are clipped for every recording, and noised, in every training.
        stop_after_epochs: end every training after so many epochs, with the learning rates of max_epochs: the model is
            a checkpoint of the longer training.
        keep_epochs: keep a checkpoint after each of these epochs, from which a run with such a stop_after_epochs can
            be had; does not change the models.
        kwargs: options of `lightning.Trainer`.

    Attributes:
        config_yaml: every setting of the run, for the report.
        command: the command that repeats the run, for the report.
        mirror: where results are copied to, if anywhere.
    """

    def __init__(
        self,
        per_example: PerExampleGradients = PerExampleGradients(),
        stop_after_epochs: int | None = None,
        keep_epochs: list[int] | None = None,
        **kwargs: Any,
    ) -> None:
        # A copy, before this Trainer claims a strategy for itself.
        ours = {"per_example": per_example, "stop_after_epochs": stop_after_epochs, "keep_epochs": keep_epochs}
        self.factory = TrainerFactory({**copy.deepcopy(kwargs), **ours})
        super().__init__(**kwargs)
        self.config_yaml = ""
        self.command = ""
        self.mirror: ResultsUploader | None = None

    def fit(  # type: ignore[override]
        self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions = DEFAULT_OPTIONS
    ) -> Path:
        """Train the target on its members, resuming an interrupted training.

        Args:
            model: class and configuration of the target.
            datamodule: corpus and design of the split.
            options: run directory, monitor and probe; the others are not used.

        Returns:
            The checkpoint.
        """
        monitor = options.monitor.monitor(options.probe)
        workshop = AuditRun(options.folder, model, datamodule, self.factory, monitor=monitor)
        workshop.load()
        return workshop.fit_target().checkpoint

    def shadow(self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions = DEFAULT_OPTIONS) -> Path:
        """Train the missing shadow models, resuming interrupted ones.

        Args:
            model: class and configuration of the target and of every shadow model.
            datamodule: corpus and design of the split.
            options: run directory and shadow models; of the others, only limits of the monitor matter: they are
                refused.

        Returns:
            The folder of the shadow models.
        """
        if not options.fleet.size:
            raise InputError("fleet.size is 0: say how many shadow models to train, such as --fleet.size 16")
        monitor = options.monitor.monitor(options.probe)
        workshop = AuditRun(options.folder, model, datamodule, self.factory, fleet=options.fleet, monitor=monitor)
        workshop.mirror = self.mirror
        workshop.load()
        workshop.train_fleet()
        return workshop.run_dir / "shadows"

    def attack(self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions = DEFAULT_OPTIONS) -> Path:
        """Probe a trained target and its controls, attack and report.

        Args:
            model: class and configuration of the target.
            datamodule: corpus and design of the split.
            options: of the audit; `target_checkpoint` names a target from elsewhere.

        Returns:
            The report's page.
        """
        audit = self._audit(model, datamodule, options)
        checkpoint = options.target_checkpoint
        return self._report(audit, audit.load_target(Path(checkpoint) if checkpoint else None), options)

    def audit(self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions = DEFAULT_OPTIONS) -> Path:
        """Train the target, probe, attack and report.

        Args:
            model: class and configuration of the target.
            datamodule: corpus and design of the split.
            options: of the audit.

        Returns:
            The report's page.
        """
        audit = self._audit(model, datamodule, options)
        return self._report(audit, audit.fit_target(), options)

    def _audit(self, model: SpeechModel, datamodule: SpeechDataModule, options: AuditOptions) -> Audit:
        audit = Audit(
            options.folder,
            model,
            datamodule,
            self.factory,
            options.controls,
            options.fleet,
            options.monitor.monitor(options.probe),
            options.attacks or [],
            options.probe,
            options.evaluation,
            options.published or [],
            options.utility,
        )
        audit.mirror = self.mirror
        audit.load()
        return audit

    def _report(self, audit: Audit, target: Trained, options: AuditOptions) -> Path:
        if not options.positive_control:
            return audit.report(target, self.config_yaml, self.command)
        exposures = run_positive_control(audit, target, options.exposure)
        if exposures:
            audit.notes.append(what_it_says(exposures))
        return audit.report(target, self.config_yaml, self.command, exposures=exposures)


COMMANDS = ("fit", "shadow", "attack", "audit")
SHADOW_MODELS = 16
"""Default of `shadow --fleet.size`; the other commands train none by default."""

BARE_FLAGS = ("--positive_control",)


class _Parser(Parser, LightningArgumentParser):
    pass


class AuditCLI(LightningCLI):
    """`fit`, `shadow`, `attack` and `audit`: every option typed, in YAML or on the command line."""

    trainer: AuditTrainer
    commands: Sequence[str] = COMMANDS

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse what `run` was given."""
        self.arguments = list(args)
        self.config = parser.parse_args(with_paths(args))

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Commands that get a parser, and the arguments of their methods that are no options."""
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
        """Add what is of the command line alone."""
        parser.add_argument("--results_url", type=str | None, default=None, help=RESULTS_URL)

    def before_instantiate_classes(self) -> None:
        """Name the run directory after the config where none is given."""
        config = self.config[self.subcommand]
        if config.run_dir is None:
            name = Path(str(config.config[-1])).stem if config.config else "audit"
            config.run_dir = f"runs/{name}"
        check_folder(config.run_dir)
        self.mirror = ResultsUploader(config.results_url, Path(config.run_dir)) if config.results_url else None

    def instantiate_classes(self) -> None:
        """Make model, data and trainer; what a constructor refuses is told in one line."""
        try:
            super().instantiate_classes()
        except ValueError as error:  # jsonargparse lists, line by line, why each type of a union was refused
            reasons = [line.strip("- ") for line in str(error).splitlines() if line.lstrip().startswith("- ")]
            if "Does not validate" not in str(error) or not reasons:
                raise
            raise InputError(reasons[0]) from error

    def after_instantiate_classes(self) -> None:
        """Tell the report every setting, and the command that repeats the run."""
        settle_threads(sum(parameter.numel() for parameter in self.model.parameters()))
        self.trainer.config_yaml = self._parser(self.subcommand).dump(self.config[self.subcommand], skip_unset=False)
        self.trainer.command = shlex.join(["lightning-mia", *self.arguments])
        self.trainer.mirror = self.mirror

    def after_fit(self) -> None:
        """Say where the checkpoint is."""
        if self.trainer.is_global_zero:
            print(f"checkpoint: {self._run_dir / 'target' / 'model.ckpt'}")
            self._copy_results()

    def after_shadow(self) -> None:
        """Say where the shadow models are."""
        if self.trainer.is_global_zero:
            print(f"shadow models: {self._run_dir / 'shadows'}")
            self._copy_results()

    def after_attack(self) -> None:
        """Print the outcome."""
        if self.trainer.is_global_zero:
            print_summary(self._run_dir / "report" / "report.html")
            self._copy_results()

    after_audit = after_attack

    def _copy_results(self) -> None:
        if self.mirror:
            self.mirror.update(files_of_run(self._run_dir), final=True)
            print(f"results: {self.mirror.url}")

    @property
    def _run_dir(self) -> Path:
        return Path(self.config[self.subcommand].run_dir)


def with_bare_flags(arguments: Sequence[str]) -> list[str]:
    """Let a flag that stands without a value mean true; jsonargparse wants the value.

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
    AuditCLI.commands = arguments[:1] if arguments[0] in COMMANDS else COMMANDS  # a parser takes a tenth of a second
    make(AuditCLI, arguments)


def make(cli: type[AuditCLI], arguments: list[str], **parser_options: Any) -> AuditCLI:
    """Make a command line, which does what the arguments say.

    Args:
        cli: its class.
        arguments: the command, and its options.
        parser_options: of its parser.
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
