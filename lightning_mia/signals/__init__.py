"""Membership signals: groups of measurements, and the probe that takes and caches them."""
