"""`lightning-mia ablate`: a grid of audits by one command."""

import shlex
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_mia.audit.ablation.grid import Factor, Grid
from lightning_mia.audit.configs import with_paths
from lightning_mia.audit.upload import RESULTS_URL
from lightning_mia.training.parallel.settings import EngineSettings
from lightning_mia.utilities.parser import Parser

if TYPE_CHECKING:
    from jsonargparse import Namespace

DESCRIPTION = """Run a grid of audits: what changes when one thing is varied, and everything else is not. Options of an
audit, such as --data.corpus.path M.csv, are passed on to the base config."""
OF_THE_GRID = ("base", "factors", "points", "options", "seeds", "share_longer_runs")
OF_THE_ENGINE = tuple(field.name for field in fields(EngineSettings))
FLAGS = ("--yes", "--help", "-h")
OWN = (
    *(f"--{name}" for name in (*OF_THE_GRID, *OF_THE_ENGINE, "run_dir", "results_url", "config", "print_config")),
    "-c",
    *FLAGS,
)


def run(arguments: Sequence[str]) -> None:
    """Parse the arguments and run the grid."""
    own, passed_on = divide(arguments[1:])
    options = _parser().parse_args(with_paths(own))
    from lightning_mia.audit.ablation.run import GridRun

    given = options.as_dict()  # not instantiated: a class_path in a value is the audit's to read
    factors = {name: Factor(**factor) for name, factor in given["factors"].items()}
    grid = Grid(**{**{name: given[name] for name in OF_THE_GRID}, "factors": factors})
    grid_file = _grid_file(options)
    name = grid_file.stem if grid_file else "ablation"
    run_dir = Path(options.run_dir or f"runs/{name}")
    command = shlex.join(["lightning-mia", *arguments])
    engine = EngineSettings(**{name: given[name] for name in OF_THE_ENGINE})
    grid_run = GridRun(grid, name, grid_file, run_dir, passed_on, command, options.results_url)
    grid_run.run(engine, options.yes)


def divide(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options of `ablate` itself, and those that are passed on to the audits.

    >>> divide(["-c", "g.yaml", "--trainer.max_epochs", "3", "--yes", "--workers=2", "--data.reverse=both"])
    (['-c', 'g.yaml', '--yes', '--workers=2'], ['--trainer.max_epochs', '3', '--data.reverse=both'])
    """
    own: list[str] = []
    passed_on: list[str] = []
    to, is_flag = own, False
    for argument in arguments:
        if argument.startswith("-") and not _is_number(argument):
            name = argument.split("=")[0]
            to, is_flag = (own if name.split(".")[0] in OWN else passed_on), name in FLAGS
        elif is_flag:
            to, is_flag = passed_on, False
        to.append(argument)
    return own, passed_on


def _is_number(argument: str) -> bool:
    return argument[1:2].isdigit()


def _grid_file(options: "Namespace") -> Path | None:
    return Path(str(options.config[-1])) if options.config else None


def _parser() -> Parser:
    parser = Parser(prog="lightning-mia ablate", description=DESCRIPTION)
    parser.add_argument("-c", "--config", action="config", help="the grid file")
    parser.add_class_arguments(Grid)
    parser.add_argument("--run_dir", type=str, help="folder of the grid; by default runs/ and the grid file's name")
    parser.add_argument("--results_url", type=str | None, default=None, help=RESULTS_URL)
    parser.add_class_arguments(EngineSettings)
    parser.add_argument("--yes", action="store_true", help="run a grid however many cells it has")
    return parser
