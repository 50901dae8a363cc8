"""Run one measure: `python -m tools.benchmark.run_measure MODULE ROWS.json [--quick]`."""

import argparse
import importlib
import logging
import warnings
from pathlib import Path

from tools.benchmark.results import write_rows


def main() -> None:
    """Run a measure and write its rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("module")
    parser.add_argument("path", type=Path)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore")
    module = importlib.import_module(arguments.module)
    write_rows(arguments.path, list(module.measure(arguments.quick)), getattr(module, "CURVES", []))


if __name__ == "__main__":
    main()
