"""Measure leakage while a model trains, and stop the training by it."""

from lightning_mia.audit.monitor.leakage import ChallengeSet
from lightning_mia.audit.monitor.leakage_monitor import LeakageMonitor
from lightning_mia.audit.monitor.settings import MonitorSettings

__all__ = ["ChallengeSet", "LeakageMonitor", "MonitorSettings"]
