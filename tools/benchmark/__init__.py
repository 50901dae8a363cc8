"""How fast the suite is: against peers and naive ways, and how it scales; `python tools/benchmark --list`."""
