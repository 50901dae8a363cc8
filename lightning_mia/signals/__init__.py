"""Membership signals: signal groups, and the probe that caches them."""
