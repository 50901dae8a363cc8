"""The commands that have a model, as a LightningCLI."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from lightning_mia.data.module import SpeechDataModule
from lightning_mia.errors import InputError
from lightning_mia.files import check_folder
from lightning_mia.mirror import RESULTS_URL, Mirror, files_of_run
from lightning_mia.models.base import SpeechModel
from lightning_mia.one_line_errors import OneLineErrors
from lightning_mia.quiet import quieten
from lightning_mia.shipped_configs import with_paths
from lightning_mia.summary import print_summary
from lightning_mia.threads import settle_threads
from lightning_mia.trainer import AuditTrainer

COMMANDS = ("fit", "shadow", "attack", "audit")
BARE_FLAGS = ("--positive_control",)
DESCRIPTION = """Membership inference against self-supervised speech models, with its confounds under control.
Beside the commands below, which have a model, there are some without one of their own: `lightning-mia ablate -c GRID`
runs a grid of audits, `lightning-mia blind MANIFEST --out DIR` checks whether a split can be told apart without any
model, `lightning-mia report RUN_DIR` rebuilds a report, `lightning-mia compare RUN_DIR RUN_DIR` puts runs side by side,
`lightning-mia configs` lists and copies configs that ship."""


class _Parser(OneLineErrors, LightningArgumentParser):
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
        """The commands that a parser is made for, and the arguments that come from elsewhere."""
        return {command: {"model", "datamodule"} for command in self.commands}

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
        self.mirror = Mirror(config.results_url, Path(config.run_dir)) if config.results_url else None

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
            "description": DESCRIPTION,
            **parser_options,
        },
        args=arguments,
    )
