"""Grids of audits: what changes when one thing is varied, and everything else is not.

A cell of a grid is a whole audit with a run directory of its own, so this room stands beside the command line, above
all that an audit is made of.
"""
