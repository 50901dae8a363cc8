"""Figures of the report, drawn with Matplotlib."""
