"""Leakage measured while a model trains."""

from lightning_mia.audit.monitor.leakage import ChallengeSet
from lightning_mia.audit.monitor.leakage_monitor import LeakageMonitor
from lightning_mia.audit.monitor.settings import MonitorSettings

__all__ = ["ChallengeSet", "LeakageMonitor", "MonitorSettings"]
