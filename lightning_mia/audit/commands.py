"""Command line of `fit`, `shadow`, `attack` and `audit`."""

import shlex
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from lightning_mia.audit.audit_trainer import AuditTrainer
from lightning_mia.audit.configs import with_shipped_configs
from lightning_mia.audit.option_check import check, parse
from lightning_mia.audit.option_index import load_index, save_index
from lightning_mia.audit.options import AuditOptions
from lightning_mia.audit.summary import print_summary
from lightning_mia.audit.upload import RESULTS_NAMES, RESULTS_URL, ResultsUploader, run_files
from lightning_mia.models.base import SpeechModel
from lightning_mia.report.content.subject import ORIGIN
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.utilities.credentials import without_credentials
from lightning_mia.utilities.environment import settle_threads
from lightning_mia.utilities.errors import InputError, first_line
from lightning_mia.utilities.files import check_folder, write_text
from lightning_mia.utilities.lightning import quieten
from lightning_mia.utilities.parser import Parser
from lightning_mia.utilities.parser_messages import reason_of_union
from lightning_mia.utilities.ranges import Seed, check_range

COMMANDS = ("fit", "shadow", "attack", "audit")
DEFAULT_SHADOW_MODELS = 16
"""Default of `shadow --fleet.size`; the other commands train none by default."""

CONFIG = "config.yaml"
"""File in the run directory with all options, which repeats the run."""


class _Parser(Parser, LightningArgumentParser):
    pass


class AuditCLI(LightningCLI):
    """LightningCLI of `fit`, `shadow`, `attack` and `audit`."""

    trainer: AuditTrainer
    commands: Sequence[str] = COMMANDS

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the arguments of `run`."""
        self.arguments = list(args)
        command = next(iter(self.commands)) if len(self.commands) == 1 else None
        if command and "--help" not in self.arguments and load_index(command) is None:
            check(parse(self.arguments), save_index(command, self._parser(command)))
        self.config = parser.parse_args(with_shipped_configs(args))

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Map commands to the method arguments that are not options."""
        return {command: {"model", "datamodule", "options"} for command in self.commands}

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        """Add the fields of `AuditOptions` as options without a prefix."""
        parser: LightningArgumentParser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        parser.add_class_arguments(AuditOptions, skip=set() if subcommand == "attack" else {"target_checkpoint"})
        groups: list[Any] = parser._action_groups  # type: ignore[assignment]
        groups.sort(key=lambda group: (group.title or "").startswith("Trainer that"))  # the least used come last
        parser.usage = f"lightning-mia {subcommand} -c CONFIG [--option VALUE ...]"
        if subcommand == "shadow":
            parser.set_defaults({"fleet.size": DEFAULT_SHADOW_MODELS})
        return parser

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """Collect the options of a command in one object."""
        config = self.config_init[subcommand]
        options = {option.name: config[option.name] for option in fields(AuditOptions) if option.name in config}
        return {"model": self.model, "datamodule": self.datamodule, "options": AuditOptions(**options)}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the options that only the command line has, and the range of the seed."""
        parser._option_string_actions["--seed_everything"]._typehint = bool | Seed  # type: ignore[attr-defined]
        parser.add_argument("--results_url", type=str | None, default=None, help=RESULTS_URL)
        parser.add_argument("--results_names", type=bool, default=False, help=RESULTS_NAMES)

    def before_instantiate_classes(self) -> None:
        """Set the default run directory, and prepare the upload."""
        config = self.config[self.subcommand]
        if config.run_dir is None:
            name = Path(str(config.config[-1])).stem if config.config else "audit"
            config.run_dir = f"runs/{name}"
        check_folder(config.run_dir)
        url, folder = config.results_url, Path(config.run_dir)
        self.uploader = ResultsUploader(url, folder, config.results_names) if url else None

    def _set_seed(self) -> None:
        """Seed all generators; refuse what they cannot take."""
        check_range("seed_everything", Seed, self._get(self.config, "seed_everything"))
        super()._set_seed()

    def instantiate_classes(self) -> None:
        """Create all objects; report invalid values in one line."""
        try:
            super().instantiate_classes()
        except ValueError as error:
            if not (reason := reason_of_union(str(error))):
                raise
            raise InputError(reason) from error

    def after_instantiate_classes(self) -> None:
        """Pass settings, command and uploader to the trainer."""
        settle_threads(sum(parameter.numel() for parameter in self.model.parameters()))
        try:
            config = self.config[self.subcommand].clone()
            if config.get("target_checkpoint", "") is None:  # only `attack` has this option
                del config["target_checkpoint"]
            config_yaml = self._parser(self.subcommand).dump(config, skip_unset=False)
        except Exception as error:  # of a representer: an object that has no YAML, such as a function
            raise InputError(f"The options cannot be written down for the report: {first_line(error)}") from error
        self.config_yaml = without_credentials(f"{self._origin()}\n{config_yaml}")
        command = shlex.join(["lightning-mia", str(self.subcommand), "-c", str(self._run_dir / CONFIG)])
        self.trainer.use_command_line(self.config_yaml, without_credentials(command), self.uploader)

    def _origin(self) -> str:
        """Return a comment with the command; a config that a run has written keeps its own."""
        config = self._run_dir / CONFIG
        first = config.read_text(encoding="utf-8").partition("\n")[0] if config.is_file() else ""
        if str(config) in self.arguments and first.startswith(ORIGIN):
            return first
        return f"{ORIGIN}{shlex.join(['lightning-mia', *self.arguments])}"

    def after_fit(self) -> None:
        """Print the path of the checkpoint."""
        if self.trainer.is_global_zero:
            print(f"checkpoint: {self._run_dir / 'target' / 'model.ckpt'}")
            self._finish()

    def after_shadow(self) -> None:
        """Print the folder of the shadow models."""
        if self.trainer.is_global_zero:
            print(f"shadow models: {self._run_dir / 'shadows'}")
            self._finish()

    def after_attack(self) -> None:
        """Print the results."""
        if self.trainer.is_global_zero:
            print_summary(self._run_dir / "report" / "report.html")
            self._finish()

    after_audit = after_attack

    def _finish(self) -> None:
        """Write the config that repeats the run, and upload the results."""
        write_text(self._run_dir / CONFIG, self.config_yaml)
        if self.uploader:
            self.uploader.update(run_files(self._run_dir, self.uploader.with_names), final=True)
            print(f"results: {self.uploader.url}")

    @property
    def _run_dir(self) -> Path:
        return Path(self.config[self.subcommand].run_dir)


def run(arguments: list[str]) -> None:
    """Parse the arguments and run the command."""
    quieten()
    AuditCLI.commands = arguments[:1] if arguments[0] in COMMANDS else COMMANDS  # each parser takes 0.1 s to build
    make(AuditCLI, arguments)


def make(cli: type[AuditCLI], arguments: list[str], **parser_options: Any) -> AuditCLI:
    """Create a command line, which runs the command at once.

    Args:
        cli: class of the command line.
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
