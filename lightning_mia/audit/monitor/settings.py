"""Whether and how an audit watches its target's training."""

from dataclasses import dataclass
from typing import Literal

from lightning_mia.audit.monitor.leakage_monitor import LeakageMonitor
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.utilities.errors import InputError

Layers = Literal["last", "all"]
StopBy = Literal["estimate", "upper_bound"]


@dataclass(frozen=True)
class MonitorSettings:
    """Leakage measured while the target trains; see `LeakageMonitor`, which can also be named in trainer.callbacks.

    Args:
        every_n_epochs: epochs between two measurements, beside those at the start and at the end; 0: none at all.
        layers: `all` measures attacks that read one layer at every layer.
        stop_above: bound on the AUROC of every attack: the target is the model of the last measurement that kept it.
        stop_by: what is compared with the bound: the AUROC itself, or the upper end of its 95 % interval.
        patience: early stopping: the training ends after so many measurements without a lower pretext loss of the
            auxiliary recordings; the target is the model of the lowest one.
    """

    every_n_epochs: int = 0
    layers: Layers = "last"
    stop_above: float | None = None
    stop_by: StopBy = "estimate"
    patience: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no monitor can do."""
        if self.every_n_epochs < 0:
            raise InputError(f"monitor.every_n_epochs is {self.every_n_epochs}: give 0 or more")
        for name in ("stop_above", "patience"):
            if getattr(self, name) is not None and not self.every_n_epochs:
                raise InputError(
                    f"monitor.{name} needs measurements: say how often, such as --monitor.every_n_epochs 5"
                )
        self.monitor(ProbeSettings())

    def monitor(self, probe: ProbeSettings) -> LeakageMonitor | None:
        """The callback that does this; None: nothing is measured.

        Args:
            probe: how signals are taken: as in the audit, so that the last figures are those of its report.
        """
        if not self.every_n_epochs:
            return None
        return LeakageMonitor(
            self.every_n_epochs, None, self.layers, self.stop_above, self.stop_by, probe, self.patience
        )
