"""Benchmark the suite against peers and naive code.

    python tools/benchmark                          all measures, into runs/benchmark
    python tools/benchmark similarity training      some measures
    python tools/benchmark --list                   list the measures
    python tools/benchmark --quick                  small versions, to check that everything works
    python tools/benchmark --docs A.json B.json     put the results of finished runs into docs/benchmarks.md

Each measure runs in a separate process, on one core and, if there is one, on a GPU. Results are written after every
measure, and running the command again completes what is missing. If a measure fails, the others continue.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.parser import OneLineErrors
from tools.benchmark import docs_table
from tools.benchmark.processes import REPOSITORY
from tools.benchmark.suite import Suite, describe, known_measures

PAGE = REPOSITORY / "docs" / "benchmarks.md"


class _Parser(OneLineErrors, argparse.ArgumentParser):
    """Parser that reports invalid options in one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        Exit status: 0; 1 if a measure failed; 2 for invalid input; 130 after Ctrl-C.
    """
    try:
        return _run(_parser().parse_args(arguments))
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; run the same command again to resume", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python tools/benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="measures (default: all)")
    parser.add_argument("--list", action="store_true", help="list the measures")
    parser.add_argument("--quick", action="store_true", help="run small versions, to check that everything works")
    parser.add_argument("--again", action="store_true", help="repeat finished measures")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark"), help="output folder")
    parser.add_argument(
        "--docs", type=Path, nargs="+", metavar="JSON", help="put these results into docs/benchmarks.md"
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    measures = known_measures()
    if options.list:
        width = max(map(len, measures))
        print(*(f"{name:{width}}  {describe(module)}" for name, module in measures.items()), sep="\n")
        return 0
    if options.docs:
        docs_table.rewrite(PAGE, options.docs)
        print(f"{PAGE} shows the results of {len(options.docs)} file(s)")
        return 0
    if unknown := [name for name in options.names if name not in measures]:
        raise InputError(f"Unknown measure {', '.join(unknown)}: choose from {', '.join(measures)}")
    selected = {name: module for name, module in measures.items() if name in options.names or not options.names}
    return Suite(options.out, options.quick).run(selected, again=options.again)
