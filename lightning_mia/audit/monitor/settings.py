"""Settings of the leakage monitor of an audit."""

from dataclasses import dataclass
from typing import Literal

from lightning_mia.audit.monitor.leakage_monitor import LeakageMonitor
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import Count, CountOrNone, Share, check_fields

Layers = Literal["last", "all"]
StopBy = Literal["estimate", "upper_bound"]


@dataclass(frozen=True)
class MonitorSettings:
    """Leakage measurements while the target trains.

    See `LeakageMonitor`, which can also be one of trainer.callbacks.

    Args:
        every_n_epochs: epochs between two measurements, in addition to those at the start and at the end; 0: no
            monitoring.
        layers: `all` measures attacks that read one layer at every layer.
        stop_above: upper bound on the AUROC of every attack: training stops at the first measurement above it, and the
            target is the model of the previous measurement.
        stop_by: quantity compared with the bound: the AUROC itself, or the upper end of its 95 % interval.
        patience: early stopping: training ends after this many measurements without a lower pretext loss on the
            auxiliary recordings; the target is the model with the lowest loss.

    Example:
        >>> MonitorSettings(every_n_epochs=5, stop_above=0.6).monitor(ProbeSettings()).limits
        ['stop_above']
    """

    every_n_epochs: CountOrNone = 0
    layers: Layers = "last"
    stop_above: Share | None = None
    stop_by: StopBy = "estimate"
    patience: Count | None = None

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_fields(self, "monitor.")
        for name in ("stop_above", "patience"):
            if getattr(self, name) is not None and not self.every_n_epochs:
                raise InputError(
                    f"monitor.{name} needs measurements: give their interval, such as --monitor.every_n_epochs 5"
                )
        self.monitor(ProbeSettings())

    def monitor(self, probe: ProbeSettings) -> LeakageMonitor | None:
        """Create the callback; None without monitoring.

        Args:
            probe: settings of the audit's probe, so that the last measurement equals the report.
        """
        if not self.every_n_epochs:
            return None
        return LeakageMonitor(
            self.every_n_epochs, None, self.layers, self.stop_above, self.stop_by, probe, self.patience
        )
