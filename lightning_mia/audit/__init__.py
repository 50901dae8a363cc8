"""Audits, which compose all other packages, and their command line."""
