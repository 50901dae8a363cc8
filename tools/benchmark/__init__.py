"""Speed and scaling benchmarks; `python tools/benchmark --list` lists the measures."""
