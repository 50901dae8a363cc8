"""Options of an audit, shared by all commands."""

from dataclasses import dataclass, field
from pathlib import Path

from lightning_mia.attacks import Attack
from lightning_mia.attacks.runner.defaults import AttackSet
from lightning_mia.audit.monitor import MonitorSettings
from lightning_mia.audit.settings import ControlSettings, PositiveControlSettings
from lightning_mia.audit.utility.settings import UtilitySettings
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.report.audit_report import PublishedFigure
from lightning_mia.report.settings import ReportSettings
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.training.parallel.settings import FleetSettings
from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class AuditOptions:
    """Options of an audit, besides model, data and trainer.

    Every command accepts all of them and uses those that concern it, so one config serves every command.

    Args:
        run_dir: folder of the run; by default runs/ and the name of the config file.
        target_checkpoint: Lightning checkpoint of the target; by default the one that `fit` left in run_dir.
        attacks: attacks to run; null: those of `attack_set` that the model and the shadow models allow.
        attack_set: "recommended", the strongest attacks for each level and access; or "all".
        probe: settings of the probe, which computes the signals.
        controls: controls to run besides the blind baseline.
        evaluation: bootstraps, redraws and false positive rates.
        fleet: shadow models; those not yet trained are trained.
        published: figures from a paper to print next to the results.
        positive_control: continue training the target on a random half of recordings it has not seen, and report after
            how many epochs each attack detects them.
        exposure: exposures of the positive control.
        monitor: leakage measurements while the target trains, and limits that stop it.
        utility: utility measurements of the target.
        report: title, author and formats of the report.

    Raises:
        InputError: two attacks have the same name.

    Example:
        >>> options = AuditOptions(run_dir="runs/x", fleet=FleetSettings(size=4))
        >>> str(options.folder), options.fleet.size, options.controls.wrong_model
        ('runs/x', 4, True)
    """

    run_dir: str | None = None
    target_checkpoint: str | None = None
    attacks: list[Attack] | None = None
    attack_set: AttackSet = "recommended"
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    controls: ControlSettings = field(default_factory=ControlSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    fleet: FleetSettings = field(default_factory=FleetSettings)
    published: list[PublishedFigure] | None = None
    positive_control: bool = False
    exposure: PositiveControlSettings = field(default_factory=PositiveControlSettings)
    monitor: MonitorSettings = field(default_factory=MonitorSettings)
    utility: UtilitySettings = field(default_factory=UtilitySettings)
    report: ReportSettings = field(default_factory=ReportSettings)

    def __post_init__(self) -> None:
        """Validate the attacks."""
        names = [attack.name for attack in self.attacks or ()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"Several attacks have the same name: {', '.join(twice)}; list each attack and layer once")

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return Path(self.run_dir or "runs/audit").expanduser()


DEFAULT_OPTIONS = AuditOptions()
