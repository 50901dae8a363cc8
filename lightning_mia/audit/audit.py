"""Main pipeline of an audit: probe, attack, evaluate, report."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lightning_mia.attacks import Attack, default_attacks
from lightning_mia.attacks.runner.defaults import MANY_AUXILIARY, checkpoint_attacks, lacking_auxiliary
from lightning_mia.audit.audit_run import AuditRun
from lightning_mia.audit.blind_baselines import size_notes
from lightning_mia.audit.breakdown import add_breakdown
from lightning_mia.audit.options import DEFAULT_OPTIONS, AuditOptions
from lightning_mia.audit.outcome import (
    AuditOutcome,
    epsilon_bounds,
    evaluate_attacks,
    privacy_bounds,
    privacy_notes,
)
from lightning_mia.audit.probed_model import ProbedModel
from lightning_mia.audit.probing import ProbePlan
from lightning_mia.audit.provenance import (
    corpus_name,
    describe_model,
    mask_notes,
    provenance,
    relearning_notes,
    skipped_recordings,
    summarise_split,
    unit_facts,
    version_notes,
)
from lightning_mia.audit.references import References
from lightning_mia.audit.shadow_models.of_checkpoint import training_notes
from lightning_mia.audit.shadow_models.run_jobs import expected_work
from lightning_mia.audit.shadow_models.shadow_model_job import ShadowModelJob
from lightning_mia.audit.shadow_models.trained import TrainedShadowModels
from lightning_mia.audit.suggestions import suggest_auxiliary, suggest_positive_control
from lightning_mia.audit.utility.held_out import recordings_for
from lightning_mia.audit.utility.measure import MEASURED_MODELS, measure_utility, plan_utility
from lightning_mia.evaluation.privacy import Privacy
from lightning_mia.evaluation.results import Exposure
from lightning_mia.evaluation.utility import Utility
from lightning_mia.report.audit_report import AuditReport, FleetSummary, Provenance, Suggestion, Target, summarise_fleet
from lightning_mia.report.logged_figures import log_report
from lightning_mia.report.write import write_report
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.runner.frames import FrameStream
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.splits.shared_content import shared_content_notes
from lightning_mia.training.exposures import exposure_obstacle
from lightning_mia.training.loggers import close
from lightning_mia.training.train import Trained
from lightning_mia.training.trainer_factory import training_seed
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of
from lightning_mia.utilities.lightning import is_first_process
from lightning_mia.utilities.progress_bar import Progress, WorkBar

log = logging.getLogger(__name__)


class Audit:
    """Probe the models of a run, attack, evaluate and report.

    Finished steps are read from the run directory.

    Args:
        run: run directory with corpus, split and models.
        options: attacks, probe, evaluation, published figures and utility.

    Attributes:
        attacks: user-supplied attacks, or the default ones.
        held_out: recordings on which utility is measured; None: it is not measured.

    Raises:
        InputError: the corpus has too few recordings to measure utility.

    Example:
        What `AuditTrainer.audit` runs, without a positive control:

            options = AuditOptions(run_dir="runs/tera")
            trainers = TrainerFactory({"max_epochs": 50})
            run = AuditRun.open(TERA(), SpeechDataModule(Manifest("manifest.csv")), trainers, options)
            page = Audit(run, options).report(run.fit_target())
    """

    def __init__(self, run: AuditRun, options: AuditOptions = DEFAULT_OPTIONS) -> None:
        self.run, self.options = run, options
        self.attacks: Sequence[Attack] = options.attacks or self._default_attacks()
        self.held_out = recordings_for(run.data, options.utility) if options.utility.enabled else None

    def announce(self, with_target: bool) -> None:
        """Log how many models will be trained and probed.

        Nothing, if none will be trained.

        Args:
            with_target: whether the target is trained here.
        """
        run, controls = self.run, self.run.controls
        trained_here = run.trained_here(with_target)
        n_to_train = sum(not (run.run_dir / name / "model.ckpt").exists() for name in trained_here)
        n_elsewhere = len(self.options.fleet.references) + len(run.split.shadows) * bool(run.shadow_checkpoints)
        n_to_probe = len({"target", *trained_here}) + controls.untrained + n_elsewhere
        if n_to_train and is_first_process():
            log.info("%d %s to train, %d to probe", n_to_train, "model" if n_to_train == 1 else "models", n_to_probe)

    def report(
        self,
        target: Trained,
        config_yaml: str = "",
        command: str = "",
        exposures: tuple[Exposure, ...] = (),
        notes: Sequence[str] = (),
    ) -> Path:
        """Probe target and controls, attack, evaluate, and report.

        Args:
            target: the model under audit.
            config_yaml: all settings of the run.
            command: command that repeats the run.
            exposures: results of the positive control.
            notes: further sentences for the report.

        Returns:
            The report's page.
        """
        run, timings = self.run, dict[str, float]()
        run.save_split()
        measured = self._measure(target, timings)
        report_dir, delta = run.run_dir / "report", run.trainers.per_example.delta
        if not is_first_process():
            return report_dir / "report.html"
        with _timed(timings, "attack_s"):
            outcome = self._evaluate(measured, exposures)
            bounds = epsilon_bounds(target, outcome, run.split, delta)
        needs_privacy = measured.utility or target.record.get("privacy")
        privacy = privacy_bounds(target, outcome, run.split, delta) if needs_privacy else None
        report = AuditReport(
            target=Target(target.model.family, target.sha256, target.record["parameters"]),
            split=summarise_split(run.split),
            verdict=outcome.verdict,
            attacks=outcome.attacks,
            controls=outcome.controls,
            scores=outcome.scores,
            blind_upper95=dict(outcome.blind_upper95),
            timings=timings,
            provenance=self._provenance(measured, command),
            skipped=skipped_recordings(run.data.audio),
            config_yaml=config_yaml,
            notes=self._notes(measured, outcome, privacy, notes),
            published=tuple(self.options.published or ()),
            exposures=exposures,
            fleet=self._summarise_fleet(measured.shadow_models),
            dataset_inference=outcome.dataset_inference,
            units=unit_facts(run.split, run.blind_statistics["acoustics"], run.data.speaker_facts),
            utility=measured.utility,
            privacy=privacy,
            epsilon_bounds=bounds,
            suggestions=self._suggestions(target, outcome, exposures),
            title=self.options.report.title,
            by=self.options.report.by,
            corpus=corpus_name(run.data),
        )
        page = write_report(report_dir, add_breakdown(report), self.options.report.pdf)
        loggers = run.trainers.loggers(report_dir)
        log_report(loggers, report)
        close(loggers)
        return page

    def _measure(self, target: Trained, timings: dict[str, float]) -> "_Measured":
        """Train what is missing, and probe all models.

        Args:
            target: the model under audit.
            timings: gets the times.
        """
        run = self.run
        if run.split.shadows:
            run.check_shadow_models(target)
        references = run.load_references(target)
        models = {"target": target, **run.control_models(target, references)}
        timings.update(_training_seconds(models))
        jobs = run.shadow_model_jobs(target, self.probe_plan) if run.split.shadows else []
        compared = references.models if references else {}
        probed, probed_references, utility = self._probe_all(models, compared, jobs, timings)
        shadow_models = TrainedShadowModels.load(jobs, target, run.data) if jobs else None
        if references:
            shadow_models = references.probed(probed_references, models.get("wrong_model"))
        elif shadow_models and run.first_is_wrong_model(models):
            shadow_models = replace(shadow_models, wrong_model=0)
            probed["wrong_model"] = shadow_models.probed[0]
        timings["shadow_s"] = shadow_models.seconds if shadow_models else 0.0
        return _Measured(models, probed, references, shadow_models, utility)

    def _probe_all(
        self,
        models: Mapping[str, Trained],
        references: Mapping[str, Trained],
        jobs: Sequence[ShadowModelJob],
        timings: dict[str, float],
    ) -> tuple[dict[str, ProbedModel], dict[str, ProbedModel], Utility | None]:
        """Probe all models and train shadow models, under one bar.

        Args:
            models: "target" and the control models.
            references: reference models.
            jobs: shadow models.
            timings: gets the times.

        Returns:
            Models and references, probed; and the utility, if it is measured.
        """
        probes = [(self.probe_plan, models), (self._plan_of_references, references)]
        measured = {name: models[name] for name in MEASURED_MODELS if name in models}
        if self.held_out is not None:
            probes.append((self.utility_plan, measured))
        utility = None
        with self._bar(probes, jobs) as progress:
            with _timed(timings, "probe_s"):
                probed = self.probe(models, progress=progress)
                if self.held_out is not None:
                    plan, settings = self.utility_plan, self.options.utility
                    utility = measure_utility(measured, self.held_out, settings, plan, progress)
            with _timed(timings, "fleet_s"):  # training and probing of shadow models in this run
                if jobs:
                    self.run.run_jobs(jobs, progress)
                return probed, self.probe(references, self._plan_of_references, progress), utility

    def probe(
        self, models: Mapping[str, Trained], plan: ProbePlan | None = None, progress: Progress | None = None
    ) -> dict[str, ProbedModel]:
        """Probe models; their frames are computed only if needed.

        Args:
            models: name → model.
            plan: signal groups and queries; by default those of the target.
            progress: takes the work done; None: a bar for these models.
        """
        plan, device = plan or self.probe_plan, self.run.trainers.device()
        if progress is None:
            with self._bar([(plan, models)]) as bar:
                return self.probe(models, plan, bar)
        probed = {}
        for name, trained in models.items():
            signals = plan.signals(name, trained.model, trained.sha256, progress)
            frames = FrameStream(trained.model, plan.recordings, self.options.probe.batch_seconds, device)
            probed[name] = ProbedModel(signals, frames, plan.key(trained.sha256), plan.folder)
        return probed

    def _bar(
        self, probes: Sequence[tuple[ProbePlan, Mapping[str, Trained]]], jobs: Sequence[ShadowModelJob] = ()
    ) -> WorkBar:
        """Open the bar of all probes, and of the shadow models."""
        works = {
            path: work
            for plan, models in probes
            for name, trained in models.items()
            for path, work in plan.works(name, trained.model, trained.sha256).items()
        }
        total = sum(works.values()) + expected_work(jobs, self.run.fleet)
        return WorkBar("Probing", total, self.run.trainers.shows_progress)

    @cached_property
    def probe_plan(self) -> ProbePlan:
        """Signal groups and queries for every model.

        Raises:
            InputError: two attacks need the same group with different settings.
        """
        data, ids, auxiliary = self.run.data, self.run.split.queried_ids(), self.run.split.auxiliary_ids()
        inputs: list[Any] = [data.audio.data_hash(ids), data.audio.data_hash(auxiliary)]
        inputs.append(data.query_changes.fingerprint())
        if self.run.model.uses_transcripts:
            inputs.append([data.audio.texts.get(utterance, "") for utterance in ids])
        return ProbePlan(
            self._groups([(attack, attack.groups) for attack in self.attacks]),
            data.queries(ids),
            data.queries(auxiliary),
            inputs,
            self.probing,
            self.run.run_dir / "probes",
            self.run.trainers,
            self.run.split.candidates(),
            data.further_training_recordings(),
        )

    @cached_property
    def probing(self) -> ProbeSettings:
        """Settings of the probe, with the number of masks that suits the recordings in question."""
        asked = sorted({utterance for ids in self.run.split.candidates().values() for utterance in ids})
        return self.options.probe.for_durations(self.run.data.audio.index.loc[asked, "duration"].to_numpy())

    @cached_property
    def utility_plan(self) -> ProbePlan:
        """Signal group and queries of the utility."""
        assert self.held_out is not None
        options, run, ids = self.options, self.run, list(self.held_out["id"])
        folder = run.run_dir / "probes"
        return plan_utility(ids, run.data, options.utility, self.probing, folder, run.trainers)

    @property
    def _plan_of_references(self) -> ProbePlan:
        """Signal groups of the attacks that compare models; others would only cost time."""
        compared = [(attack, attack.compared_groups) for attack in self.attacks]
        return replace(self.probe_plan, groups=self._groups(compared))

    def _groups(self, attacks: Sequence[tuple[Attack, Sequence[SignalGroup]]]) -> list[SignalGroup]:
        """List signal groups of attacks, encoder outputs first."""
        split, outputs = self.run.split, self.probing.encoder_outputs
        groups: dict[str, SignalGroup] = {outputs.prefix: outputs}
        for attack, needed in attacks:
            if attack.min_shadows > self._n_compared or not set(attack.levels) & set(split.levels):
                continue  # this attack will not run
            for group in needed:
                if groups.setdefault(group.prefix, group).fingerprint() != group.fingerprint():
                    raise InputError(
                        f"{attack.name} needs {group.name} with other settings than another attack; give both the same"
                    )
        return list(groups.values())

    def _default_attacks(self) -> list[Attack]:
        """List the attacks that suit the model: trained here, or elsewhere."""
        run, options = self.run, self.options
        only_outside = bool(options.fleet.references) or run.split.pool() is not None
        if options.attack_set == "all" or not self._is_checkpoint or (run.split.shadows and not only_outside):
            return default_attacks(self._n_compared, options.attack_set)
        n_recordings = sum(map(len, run.split.candidates().values()))
        n_auxiliary = len(run.split.auxiliary_ids())
        return checkpoint_attacks(run.model, n_auxiliary, self._n_compared, n_recordings)

    @property
    def _is_checkpoint(self) -> bool:
        return self.run.model.is_pretrained or self.options.target_checkpoint is not None

    @property
    def _n_compared(self) -> int:
        """Number of shadow models, or of reference models."""
        return len(self.run.split.shadows) or len(self.options.fleet.references)

    def _summarise_fleet(self, shadow_models: TrainedShadowModels | None) -> FleetSummary | None:
        fleet = self.options.fleet
        if shadow_models and fleet.references:
            return FleetSummary(n_shadows=len(fleet.references), pool="references")
        targets = fleet.targets if self.run.model.learned_targets is not None else None
        return summarise_fleet(shadow_models.records, fleet.pool, targets) if shadow_models else None

    def _evaluate(self, measured: "_Measured", exposures: tuple[Exposure, ...]) -> AuditOutcome:
        shadow_models = measured.shadow_models
        missing = self.run.unexposed(measured.models) | (shadow_models.unexposed if shadow_models else {})
        return evaluate_attacks(
            self.attacks,
            measured.probed,
            self.run.blind_baselines,
            self.run.split,
            self.options.evaluation,
            shadow_models,
            take_turns=self.options.fleet.take_turns,
            list_skipped=bool(self.options.attacks),
            seed=training_seed(),
            obstacle=exposure_obstacle(missing),
            largest_exposure=exposures[-1] if exposures else None,
        )

    def _notes(
        self, measured: "_Measured", outcome: AuditOutcome, privacy: Privacy | None, notes: Sequence[str]
    ) -> tuple[str, ...]:
        """Collect the sentences of the report, `notes` among them."""
        run, target = self.run, measured.models["target"]
        references, shadow_models = measured.references, measured.shadow_models
        return (
            *run.notes,
            *size_notes(run.blind_baselines, run.split),
            *notes,
            *shared_content_notes(run.split, run.data.audio),
            *run.missing_control_notes(target, measured.probed),
            *(references.notes(target.model) if references else ()),
            *training_notes(run.data, run.fleet.start, shadow_models.records if shadow_models else {}),
            *_training_notes(measured.models),
            *privacy_notes(target, privacy),
            *mask_notes(self.probe_plan, target, chosen=self.options.probe.n_masks is None),
            *relearning_notes(self.probe_plan, target),
            *outcome.notes,
            *version_notes(self._versions(measured)),
        )

    def _suggestions(
        self, target: Trained, outcome: AuditOutcome, exposures: Sequence[Exposure]
    ) -> tuple[Suggestion, ...]:
        control = suggest_positive_control(target, outcome.verdict.status, exposures)
        if self.options.attacks or not self._is_checkpoint:
            return control
        missing = lacking_auxiliary(self.run.model, len(self.run.split.auxiliary_ids()), self._n_compared)
        return (*control, *suggest_auxiliary(missing, self.run.split, MANY_AUXILIARY))

    def _versions(self, measured: "_Measured") -> dict[str, list[dict[str, str]]]:
        """Collect the package versions of all models and their signals."""
        plan, shadow_models = self.probe_plan, measured.shadow_models
        versions = {
            name: [trained.versions, *plan.versions(name, trained.model, trained.sha256)]
            for name, trained in measured.models.items()
        }
        return versions | (shadow_models.versions if shadow_models else {})

    def _provenance(self, measured: "_Measured", command: str) -> Provenance:
        split, data = self.run.split, self.run.data
        models, shadow_models = measured.models, measured.shadow_models
        hashes = {f"{name} checkpoint": trained.sha256 for name, trained in models.items()}
        if shadow_models:
            kind = "reference models" if self.options.fleet.references else "shadow models"
            hashes[kind] = hash_of(shadow_models.hashes)
        return provenance(
            split,
            data.audio,
            self.options.evaluation,
            command,
            seeds={"training": training_seed(), "split": data.options.split_seed},
            hashes=hashes,
            models=tuple(describe_model(name, trained.record, split) for name, trained in models.items()),
        )


@dataclass(frozen=True)
class _Measured:
    """All models of an audit, and what was measured on them.

    Attributes:
        models: "target" and the control models.
        probed: the same models, probed.
        references: reference models; None without any.
        shadow_models: shadow models, or references in their place; None without any.
        utility: of target and controls; None: it is not measured.
    """

    models: dict[str, Trained]
    probed: dict[str, ProbedModel]
    references: References | None
    shadow_models: TrainedShadowModels | None
    utility: Utility | None


def _training_seconds(models: dict[str, Trained]) -> dict[str, float]:
    seconds = {name: float(trained.record.get("seconds", 0.0)) for name, trained in models.items()}
    return {"fit_s": seconds.pop("target"), "controls_s": sum(seconds.values())}


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    timings[name] = round(time.monotonic() - start, 3)


def _training_notes(models: dict[str, Trained]) -> list[str]:
    collapses = {name: str(trained.record.get("collapse", "")) for name, trained in models.items()}
    return [
        *(f"The training of {name.replace('_', ' ')} collapsed: {text}" for name, text in collapses.items() if text),
        *models["target"].record.get("notes", []),
    ]
