"""Leakage measured during training, with early stopping."""

from lightning_mia.audit.monitor.leakage_monitor import LeakageMonitor
from lightning_mia.audit.monitor.settings import MonitorSettings

__all__ = ["LeakageMonitor", "MonitorSettings"]
