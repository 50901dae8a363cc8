"""Command `python tools/benchmark`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # not this folder: its module names clash with others

    from tools.benchmark.command import main

    sys.exit(main())
