"""Membership inference against self-supervised speech models, with its confounds under control."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_mia.audit.monitor import LeakageMonitor

__all__ = ["LeakageMonitor"]


def __getattr__(name: str) -> Any:
    """Import what the package offers by its short name, when it is asked for."""
    if name == "LeakageMonitor":
        from lightning_mia.audit.monitor import LeakageMonitor

        return LeakageMonitor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
