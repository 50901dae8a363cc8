"""One measure in a process of its own: `python -m tools.benchmark.one_measure MODULE ANSWER.json [--quick]`."""

import argparse
import importlib
import logging
import warnings
from pathlib import Path

from tools.benchmark.results import write_answer


def main() -> None:
    """Run a measure, and write what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("module")
    parser.add_argument("path", type=Path)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore")
    module = importlib.import_module(arguments.module)
    write_answer(arguments.path, list(module.measure(arguments.quick)), getattr(module, "CURVES", []))


if __name__ == "__main__":
    main()
