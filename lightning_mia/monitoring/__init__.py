"""Leakage measured while a model trains."""

from lightning_mia.monitoring.challenge_set import ChallengeSet
from lightning_mia.monitoring.leakage_monitor import LeakageMonitor
from lightning_mia.monitoring.settings import MonitorSettings

__all__ = ["ChallengeSet", "LeakageMonitor", "MonitorSettings"]
