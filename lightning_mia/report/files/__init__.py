"""Data files of a report: JSON, its schema, CSV."""
