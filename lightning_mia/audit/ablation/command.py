"""Command line of `lightning-mia ablate`."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_mia.audit.ablation.grid import Factor, Grid
from lightning_mia.audit.argument_forms import in_full
from lightning_mia.audit.configs import with_shipped_configs
from lightning_mia.audit.option_check import check, parse, refuse_words
from lightning_mia.audit.option_index import load_index
from lightning_mia.audit.upload import RESULTS_NAMES, RESULTS_URL
from lightning_mia.training.parallel.settings import ExecutorSettings
from lightning_mia.utilities.credentials import without_credentials
from lightning_mia.utilities.errors import InputError, did_you_mean
from lightning_mia.utilities.parser import Parser

if TYPE_CHECKING:
    from jsonargparse import Namespace

DESCRIPTION = """Run a grid of audits over one or more factors. Options of an audit, such as
--data.corpus.path M.csv, are passed on to the base config."""
GRID_OPTIONS = ("base", "factors", "points", "options", "seeds", "share_longer_runs")
EXECUTOR_OPTIONS = tuple(field.name for field in fields(ExecutorSettings))
OTHER_OPTIONS = ("run_dir", "results_url", "results_names", "config", "print_config")
FLAGS = ("--yes", "--help", "-h")
ABLATE_OPTIONS = (
    *(f"--{name}" for name in (*GRID_OPTIONS, *EXECUTOR_OPTIONS, *OTHER_OPTIONS)),
    "-c",
    *FLAGS,
)


def run(arguments: Sequence[str]) -> None:
    """Parse the arguments and run the grid."""
    own, passed_on = split_arguments(arguments[1:])
    given_grid = parse(["ablate", *own])
    refuse_words(given_grid)
    for path, content in given_grid.configs:
        _check_grid(path, content)
    options = _parser().parse_args(with_shipped_configs(own))
    if index := load_index("audit"):
        check(parse(in_full(["audit", *passed_on])), index)
    from lightning_mia.audit.ablation.grid_run import GridRun

    given = options.as_dict()  # not instantiated: a class_path in a value is parsed by the audit
    factors = {name: Factor(**factor) for name, factor in given["factors"].items()}
    grid = Grid(**{**{name: given[name] for name in GRID_OPTIONS}, "factors": factors})
    grid_file = _grid_file(options)
    name = grid_file.stem if grid_file else "ablation"
    run_dir = Path(options.run_dir or f"runs/{name}")
    command = without_credentials(shlex.join(["lightning-mia", *arguments]))
    executor = ExecutorSettings(**{name: given[name] for name in EXECUTOR_OPTIONS})
    grid_run = GridRun(grid, name, grid_file, run_dir, passed_on, command, options.results_url, options.results_names)
    grid_run.run(executor, options.yes)


def _check_grid(path: str, content: Mapping[str, Any]) -> None:
    if "model" in content or "data" in content:
        raise InputError(
            f"{path} is the config of an audit, not a grid: a grid gives it as `base`, and lists `factors`; "
            "`lightning-mia configs ablation` lists the shipped grids"
        )
    known = (*GRID_OPTIONS, *EXECUTOR_OPTIONS, *OTHER_OPTIONS)
    for name in content:
        if name not in known:
            raise InputError(f"{path}: a grid has no option {name}{did_you_mean(name, known)}; check the spelling")


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split arguments of `ablate` from those of the audits.

    >>> split_arguments(["-c", "g.yaml", "--trainer.max_epochs", "3", "--yes", "--workers=2", "--data.reverse=both"])
    (['-c', 'g.yaml', '--yes', '--workers=2'], ['--trainer.max_epochs', '3', '--data.reverse=both'])
    """
    own: list[str] = []
    passed_on: list[str] = []
    target, is_flag = own, False
    for argument in arguments:
        if argument.startswith("-") and not _is_number(argument):
            name = argument.split("=")[0]
            target, is_flag = (own if name.split(".")[0] in ABLATE_OPTIONS else passed_on), name in FLAGS
        elif is_flag:
            target, is_flag = passed_on, False
        target.append(argument)
    return own, passed_on


def _is_number(argument: str) -> bool:
    return argument[1:2].isdigit()


def _grid_file(options: "Namespace") -> Path | None:
    return Path(str(options.config[-1])) if options.config else None


def _parser() -> Parser:
    parser = Parser(prog="lightning-mia ablate", description=DESCRIPTION)
    parser.add_argument("-c", "--config", action="config", help="grid file")
    parser.add_class_arguments(Grid)
    parser.add_argument("--run_dir", type=str, help="folder of the grid (default: runs/ and the name of the grid file)")
    parser.add_argument("--results_url", type=str | None, default=None, help=RESULTS_URL)
    parser.add_argument("--results_names", type=bool, default=False, help=RESULTS_NAMES)
    parser.add_class_arguments(ExecutorSettings)
    parser.add_argument("--yes", action="store_true", help="run a grid of any size")
    return parser
