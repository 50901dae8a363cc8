"""One file for each measure.

The first line of a measure's docstring is what `--list` shows; `measure(quick)` yields its rows, of smaller work where
`quick` is set; `CURVES`, where there are any, says how its points are drawn. What is heavy is imported by the measure
itself, since each runs in a process of its own.
"""
