"""The command `python tools/benchmark`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # Python puts this folder there, whose names are too general

    from tools.benchmark.command import main

    sys.exit(main())
