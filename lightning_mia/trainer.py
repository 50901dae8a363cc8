"""The verbs of the command line, as methods of a Trainer whose options hold for every model of an audit."""

import copy
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from lightning_mia.attacks import Attack
from lightning_mia.audit import Audit
from lightning_mia.controls.settings import ControlSettings, PositiveControlSettings
from lightning_mia.data.module import SpeechDataModule
from lightning_mia.errors import InputError
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.fleet.settings import FleetSettings
from lightning_mia.mirror import Mirror
from lightning_mia.models.base import SpeechModel
from lightning_mia.monitoring import MonitorSettings
from lightning_mia.positive_control import positive_control as run_positive_control
from lightning_mia.positive_control import what_it_says
from lightning_mia.probe.settings import ProbeSettings
from lightning_mia.report.audit_report import PublishedFigure
from lightning_mia.trainer_factory import TrainerFactory
from lightning_mia.training.per_example import PerExampleGradients
from lightning_mia.training.train import Trained
from lightning_mia.utility.settings import UtilitySettings
from lightning_mia.workshop import Workshop


class AuditTrainer(Trainer):
    """A Trainer that conducts audits.

    Its options say how each model is trained and on what device it is probed. The models themselves go through
    Trainers of their own, made with the same options, since a Trainer keeps the state of its last run.

    Args:
        per_example: gradients that are clipped for every recording, and noised, in every training.
        stop_after_epochs: end every training after so many epochs, with the learning rates of max_epochs: the model is
            a checkpoint of the longer training.
        keep_epochs: keep a checkpoint after each of these epochs, from which a run with such a stop_after_epochs can
            be had; does not change the models.
        kwargs: options of `lightning.Trainer`.

    Attributes:
        config_yaml: every setting of the run, for the report.
        command: the command that repeats the run, for the report.
        mirror: where results are copied to, if anywhere.
    """

    def __init__(
        self,
        per_example: PerExampleGradients = PerExampleGradients(),
        stop_after_epochs: int | None = None,
        keep_epochs: list[int] | None = None,
        **kwargs: Any,
    ) -> None:
        # A copy, before this Trainer claims a strategy for itself.
        ours = {"per_example": per_example, "stop_after_epochs": stop_after_epochs, "keep_epochs": keep_epochs}
        self.factory = TrainerFactory({**copy.deepcopy(kwargs), **ours})
        super().__init__(**kwargs)
        self.config_yaml = ""
        self.command = ""
        self.mirror: Mirror | None = None

    def fit(  # type: ignore[override]
        self,
        model: SpeechModel,
        datamodule: SpeechDataModule,
        run_dir: str | None = None,
        attacks: list[Attack] | None = None,
        probe: ProbeSettings = ProbeSettings(),
        controls: ControlSettings = ControlSettings(),
        evaluation: EvaluationSettings = EvaluationSettings(),
        fleet: FleetSettings = FleetSettings(),
        published: list[PublishedFigure] | None = None,
        positive_control: bool = False,
        exposure: PositiveControlSettings = PositiveControlSettings(),
        monitor: MonitorSettings = MonitorSettings(),
        utility: UtilitySettings = UtilitySettings(),
    ) -> Path:
        """Train the target on its member set; an interrupted training goes on where it stopped.

        Args:
            model: class and configuration of the target.
            datamodule: the corpus and the design of the split.
            run_dir: folder of the run; by default runs/ and the name of the config file.
            attacks: not used; here so that one config serves every command.
            probe: how the monitor takes signals.
            controls: not used; here so that one config serves every command.
            evaluation: not used; here so that one config serves every command.
            fleet: not used; here so that one config serves every command.
            published: not used; here so that one config serves every command.
            positive_control: not used; here so that one config serves every command.
            exposure: not used; here so that one config serves every command.
            monitor: whether leakage is measured during the training, and bounded.
            utility: not used; here so that one config serves every command.

        Returns:
            The checkpoint.
        """
        workshop = Workshop(_folder(run_dir), model, datamodule, self.factory, monitor=monitor.monitor(probe))
        workshop.load()
        return workshop.fit_target().checkpoint

    def shadow(
        self,
        model: SpeechModel,
        datamodule: SpeechDataModule,
        run_dir: str | None = None,
        attacks: list[Attack] | None = None,
        probe: ProbeSettings = ProbeSettings(),
        controls: ControlSettings = ControlSettings(),
        evaluation: EvaluationSettings = EvaluationSettings(),
        fleet: FleetSettings = FleetSettings(size=16),
        published: list[PublishedFigure] | None = None,
        positive_control: bool = False,
        exposure: PositiveControlSettings = PositiveControlSettings(),
        monitor: MonitorSettings = MonitorSettings(),
        utility: UtilitySettings = UtilitySettings(),
    ) -> Path:
        """Train the fleet of shadow models; an interrupted fleet goes on where it stopped, a larger one adds models.

        Args:
            model: class and configuration of the target, and of every shadow model.
            datamodule: the corpus and the design of the split.
            run_dir: folder of the run; by default runs/ and the name of the config file.
            attacks: not used; here so that one config serves every command.
            probe: not used; here so that one config serves every command.
            controls: not used; here so that one config serves every command.
            evaluation: not used; here so that one config serves every command.
            fleet: how many shadow models, drawn from what, and how many at a time.
            published: not used; here so that one config serves every command.
            positive_control: not used; here so that one config serves every command.
            exposure: not used; here so that one config serves every command.
            monitor: not used, but for its bound, which is refused; here so that one config serves every command.
            utility: not used; here so that one config serves every command.

        Returns:
            The folder of the shadow models.
        """
        if not fleet.size:
            raise InputError("fleet.size is 0: say how many shadow models to train, such as --fleet.size 16")
        workshop = Workshop(
            _folder(run_dir), model, datamodule, self.factory, fleet=fleet, monitor=monitor.monitor(probe)
        )
        workshop.mirror = self.mirror
        workshop.load()
        workshop.train_fleet()
        return workshop.run_dir / "shadows"

    def attack(
        self,
        model: SpeechModel,
        datamodule: SpeechDataModule,
        run_dir: str | None = None,
        target_checkpoint: str | None = None,
        attacks: list[Attack] | None = None,
        probe: ProbeSettings = ProbeSettings(),
        controls: ControlSettings = ControlSettings(),
        evaluation: EvaluationSettings = EvaluationSettings(),
        fleet: FleetSettings = FleetSettings(),
        published: list[PublishedFigure] | None = None,
        positive_control: bool = False,
        exposure: PositiveControlSettings = PositiveControlSettings(),
        monitor: MonitorSettings = MonitorSettings(),
        utility: UtilitySettings = UtilitySettings(),
    ) -> Path:
        """Probe a trained target and its controls, run the attacks, and report.

        Args:
            model: class and configuration of the target.
            datamodule: the corpus and the design of the split.
            run_dir: folder of the run; by default runs/ and the name of the config file.
            target_checkpoint: Lightning checkpoint of the target; by default the one that `fit` left in run_dir.
            attacks: attacks to run; by default all that the model can answer and the fleet is large enough for.
            probe: how signals are taken.
            controls: which controls stand beside the attacks.
            evaluation: how scores are judged.
            fleet: shadow models, for the attacks that need them; those that are not trained yet are trained.
            published: figures of a paper to print beside ours.
            positive_control: train the target on, on a random half of recordings that it has not seen, and show at
                which exposure each attack finds them.
            exposure: how the positive control is done.
            monitor: whether the target's leakage is measured while it trains, and bounded.
            utility: whether it is measured what the target is good for, and how.

        Returns:
            The report's page.
        """
        audit = self._audit(
            run_dir, model, datamodule, attacks, probe, controls, evaluation, fleet, published, monitor, utility
        )
        target = audit.load_target(Path(target_checkpoint) if target_checkpoint else None)
        return self._report(audit, target, exposure if positive_control else None)

    def audit(
        self,
        model: SpeechModel,
        datamodule: SpeechDataModule,
        run_dir: str | None = None,
        attacks: list[Attack] | None = None,
        probe: ProbeSettings = ProbeSettings(),
        controls: ControlSettings = ControlSettings(),
        evaluation: EvaluationSettings = EvaluationSettings(),
        fleet: FleetSettings = FleetSettings(),
        published: list[PublishedFigure] | None = None,
        positive_control: bool = False,
        exposure: PositiveControlSettings = PositiveControlSettings(),
        monitor: MonitorSettings = MonitorSettings(),
        utility: UtilitySettings = UtilitySettings(),
    ) -> Path:
        """Train the target, then probe, attack and report: everything in one command.

        Args:
            model: class and configuration of the target.
            datamodule: the corpus and the design of the split.
            run_dir: folder of the run; by default runs/ and the name of the config file.
            attacks: attacks to run; by default all that the model can answer and the fleet is large enough for.
            probe: how signals are taken.
            controls: which controls stand beside the attacks.
            evaluation: how scores are judged.
            fleet: shadow models, for the attacks that need them; those that are not trained yet are trained.
            published: figures of a paper to print beside ours.
            positive_control: train the target on, on a random half of recordings that it has not seen, and show at
                which exposure each attack finds them.
            exposure: how the positive control is done.
            monitor: whether the target's leakage is measured while it trains, and bounded.
            utility: whether it is measured what the target is good for, and how.

        Returns:
            The report's page.
        """
        audit = self._audit(
            run_dir, model, datamodule, attacks, probe, controls, evaluation, fleet, published, monitor, utility
        )
        return self._report(audit, audit.fit_target(), exposure if positive_control else None)

    def _audit(
        self,
        run_dir: str | None,
        model: SpeechModel,
        datamodule: SpeechDataModule,
        attacks: list[Attack] | None,
        probe: ProbeSettings,
        controls: ControlSettings,
        evaluation: EvaluationSettings,
        fleet: FleetSettings,
        published: list[PublishedFigure] | None,
        monitor: MonitorSettings,
        utility: UtilitySettings,
    ) -> Audit:
        audit = Audit(
            _folder(run_dir),
            model,
            datamodule,
            self.factory,
            controls,
            fleet,
            monitor.monitor(probe),
            attacks or [],
            probe,
            evaluation,
            published or [],
            utility,
        )
        audit.mirror = self.mirror
        audit.load()
        return audit

    def _report(self, audit: Audit, target: Trained, exposure: PositiveControlSettings | None) -> Path:
        if exposure is None:
            return audit.report(target, self.config_yaml, self.command)
        exposures = run_positive_control(audit, target, exposure)
        if exposures:
            audit.notes.append(what_it_says(exposures))
        return audit.report(target, self.config_yaml, self.command, exposures=exposures)


def _folder(run_dir: str | None) -> Path:
    return Path(run_dir or "runs/audit")
