"""How fast is the suite: ratios against peers and naive ways, and how it scales.

    python tools/benchmark                          everything, into runs/benchmark
    python tools/benchmark similarity training      some measures
    python tools/benchmark --list                   which there are
    python tools/benchmark --quick                  small ones: does all of it work?
    python tools/benchmark --docs A.json B.json     figures of finished runs into docs/benchmarks.md

Each measure runs in a process of its own, on one core and on a GPU where there is one. Results are written after every
measure; started again, a run does what is missing. One that fails is listed, and the others go on.
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
    """Tells bad options in one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0; 1 where a measure failed; 2 for bad input; 130 where the user interrupted it.
    """
    try:
        return _run(_parser().parse_args(arguments))
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; started again, the command does what is missing", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python tools/benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="measures; by default all of them")
    parser.add_argument("--list", action="store_true", help="say which measures there are")
    parser.add_argument("--quick", action="store_true", help="small measures, to see that they work")
    parser.add_argument("--again", action="store_true", help="repeat what is already done")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark"), help="folder of the results")
    parser.add_argument(
        "--docs", type=Path, nargs="+", metavar="JSON", help="results that docs/benchmarks.md is to show"
    )
    return parser


def _run(chosen: argparse.Namespace) -> int:
    measures = known_measures()
    if chosen.list:
        width = max(map(len, measures))
        print(*(f"{name:{width}}  {describe(module)}" for name, module in measures.items()), sep="\n")
        return 0
    if chosen.docs:
        docs_table.rewrite(PAGE, chosen.docs)
        print(f"{PAGE} shows {len(chosen.docs)} run(s)")
        return 0
    if unknown := [name for name in chosen.names if name not in measures]:
        raise InputError(f"No measure is named {', '.join(unknown)}: choose from {', '.join(measures)}")
    wanted = {name: module for name, module in measures.items() if name in chosen.names or not chosen.names}
    return Suite(chosen.out, chosen.quick).run(wanted, again=chosen.again)
