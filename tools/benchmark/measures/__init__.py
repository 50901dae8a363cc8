"""Measures, one file each.

`--list` shows the first line of a measure's docstring. `measure(quick)` yields its rows, from less work if `quick` is
set; `CURVES` lists the figures drawn from rows with a point. Each measure runs in a separate process.
"""
