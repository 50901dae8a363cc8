"""Scalar signals: one number per recording, read from a table of signals."""
