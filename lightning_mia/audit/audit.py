"""The main job, as it flows: corpus, split, fit, probe, attack, report."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from lightning.pytorch.utilities import rank_zero_only

from lightning_mia.attacks import Attack, default_attacks
from lightning_mia.audit.breakdown import add_breakdown
from lightning_mia.audit.outcome import AuditOutcome, evaluate_attacks, privacy_bounds, privacy_notes
from lightning_mia.audit.probed_model import ProbedModel
from lightning_mia.audit.probing import ProbePlan
from lightning_mia.audit.provenance import (
    describe_model,
    judged_ids,
    provenance,
    skipped_recordings,
    summarise_split,
    unit_facts,
)
from lightning_mia.audit.run import AuditRun
from lightning_mia.audit.shadow_models.trained import Fleet, read_fleet
from lightning_mia.audit.utility.held_out import recordings_for
from lightning_mia.audit.utility.measure import measure_utility
from lightning_mia.audit.utility.settings import UtilitySettings
from lightning_mia.evaluation import EvaluationSettings
from lightning_mia.evaluation.utility import Utility
from lightning_mia.report.audit_report import AuditReport, Provenance, PublishedFigure, Target, summarise_fleet
from lightning_mia.report.write import write_report
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.runner.frames import FrameStream
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.splits.blind_baseline.statistics import blind_statistics
from lightning_mia.training.train import Trained
from lightning_mia.training.trainer_factory import training_seed
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of


@dataclass
class Audit(AuditRun):
    """What is to be done in one run directory; finishes what is missing and repeats nothing.

    Args:
        attacks: attacks to run; the default ones where empty.
        probing: how signals are taken.
        evaluation: how scores are judged.
        published: figures of a paper to print beside ours.
        utility: whether it is measured what the target is good for, and how.

    Attributes:
        unseen: the recordings by which that is measured; None: it is not. `load` comes first.
    """

    attacks: Sequence[Attack] = ()
    probing: ProbeSettings = field(default_factory=ProbeSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    published: Sequence[PublishedFigure] = ()
    utility: UtilitySettings = field(default_factory=UtilitySettings)
    unseen: pd.DataFrame | None = field(default=None, init=False)

    def load(self) -> None:
        """Decode the corpus and draw the split; see `AuditRun.load`.

        Raises:
            InputError: an attack stands twice, or the corpus has too few recordings to measure utility by.
        """
        names = [attack.name for attack in self.attacks_to_run()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"Attacks of the same name: {', '.join(twice)}; name each attack and layer once")
        super().load()
        if self.utility.enabled:
            self.unseen = recordings_for(self.data, self.utility)

    def ask_fleet(self, target: Trained) -> Fleet | None:
        """Train the shadow models and ask them what the target is asked; None without a fleet."""
        if not self.fleet.size:
            return None
        tasks = self.shadow_tasks(target, self.interview())
        self.run_tasks(tasks, "Shadow models")
        return read_fleet(tasks, target, self.data.split)

    def interview(self) -> ProbePlan:
        """What every model is asked: all groups of signals, about all recordings that an adversary may use."""
        return ProbePlan(
            self.groups(),
            self.data.queries(self._asked_about()),
            self.data.queries(self.data.split.auxiliary_ids()),
            self._about(),
            self.probing,
            self.run_dir / "probes",
            self.trainers,
        )

    def groups(self) -> list[SignalGroup]:
        """The groups of signals that the attacks read, those of every audit first.

        Raises:
            InputError: two attacks want one group with different settings.
        """
        groups: dict[str, SignalGroup] = {self.probing.encoder_outputs.prefix: self.probing.encoder_outputs}
        for attack in self.attacks_to_run():
            if attack.least_shadows > self.fleet.size or not set(attack.levels) & set(self.data.split.levels):
                continue  # it will not run
            for group in attack.groups:
                if groups.setdefault(group.prefix, group).fingerprint() != group.fingerprint():
                    raise InputError(f"{attack.name} wants other {group.name} than another attack; give both the same")
        return list(groups.values())

    def _asked_about(self) -> list[str]:
        return list(self.data.split.table["id"])

    def _about(self) -> list[Any]:
        """What beside the model and the group determines the answers."""
        ids, audio = self._asked_about(), self.data.audio
        about: list[Any] = [audio.data_hash(ids), audio.data_hash(self.data.split.auxiliary_ids())]
        about.append(self.data.query_changes.fingerprint())
        if self.model.uses_transcripts:
            about.append([audio.texts.get(utterance, "") for utterance in ids])
        return about

    def ask(self, models: dict[str, Trained]) -> dict[str, ProbedModel]:
        """Probe models about the recordings, and let attacks that learn from frames ask them for more."""
        interview, device = self.interview(), self.trainers.device()
        asked = {}
        for name, trained in models.items():
            signals = interview.signals(name, trained.model, trained.sha256)
            frames = FrameStream(trained.model, interview.recordings, self.probing.batch_seconds, device)
            asked[name] = ProbedModel(signals, frames, interview.key(trained.sha256), interview.folder)
        return asked

    def report(self, target: Trained, config_yaml: str = "", command: str = "", **sections: Any) -> Path:
        """Probe the target and its controls, attack, judge, and write the report.

        Args:
            target: the model that is judged.
            config_yaml: every setting of the run, for the reader.
            command: the command that repeats the run, for the reader.
            sections: further fields of `AuditReport`.

        Returns:
            The report's page.
        """
        self.data.split.save_once(self.run_dir / "split.csv")
        if self.fleet.size:
            self.shadow_tasks(target)  # refuses a target that was trained otherwise, before its controls are trained
        models = {"target": target, **self.control_models(target)}
        timings = _seconds_of_training(models)
        with _timed(timings, "probe_s"):
            asked = self.ask(models)
            utility = self._measure_utility(models)
        with _timed(timings, "fleet_s"):  # of this start: trainings and probes of shadow models
            fleet = self.ask_fleet(target)
        timings["shadow_s"] = fleet.seconds if fleet else 0.0
        report_dir = self.run_dir / "report"
        if getattr(rank_zero_only, "rank", 0):  # the other processes were needed for training and probing alone
            return report_dir / "report.html"
        with _timed(timings, "attack_s"):
            statistics = blind_statistics(self.data.audio, judged_ids(self.data.split))
            judgement = self._judge(asked, fleet, statistics)
        wanted = utility or target.record.get("privacy")
        privacy = privacy_bounds(target, judgement, self.trainers.per_example.delta) if wanted else None
        report = AuditReport(
            target=Target(target.model.family, target.sha256, target.record["parameters"]),
            split=summarise_split(self.data.split),
            verdict=judgement.verdict,
            attacks=judgement.attacks,
            controls=judgement.controls,
            scores=judgement.scores,
            blind_upper95=dict(judgement.blind_upper95),
            timings=timings,
            provenance=self._provenance(models, fleet, command),
            skipped=skipped_recordings(self.data.audio),
            config_yaml=config_yaml,
            notes=(*self.notes, *_of_trainings(models), *privacy_notes(target, privacy), *judgement.notes),
            published=tuple(self.published),
            fleet=summarise_fleet(fleet.records, self.fleet.pool) if fleet else None,
            dataset_inference=judgement.dataset_inference,
            units=unit_facts(self.data.split, statistics, self.data.speaker_facts),
            utility=utility,
            privacy=privacy,
        )
        return write_report(report_dir, add_breakdown(replace(report, **sections)))

    def _measure_utility(self, models: dict[str, Trained]) -> Utility | None:
        if self.unseen is None:
            return None
        folder = self.run_dir / "probes"
        return measure_utility(models, self.unseen, self.data, self.utility, self.probing, folder, self.trainers)

    def attacks_to_run(self) -> Sequence[Attack]:
        """The attacks that were named, or the default ones."""
        return self.attacks or default_attacks(self.fleet.size)

    def _judge(self, asked: dict[str, ProbedModel], fleet: Fleet | None, statistics: pd.DataFrame) -> AuditOutcome:
        return evaluate_attacks(
            self.attacks_to_run(),
            asked,
            statistics,
            self.data.split,
            self.evaluation,
            fleet.answers(self.run_dir / "probes") if fleet else None,
            take_turns=self.fleet.take_turns,
            named=bool(self.attacks),
            seed=training_seed(),
        )

    def _provenance(self, models: dict[str, Trained], fleet: Fleet | None, command: str) -> Provenance:
        split = self.data.split
        hashes = {f"{name} checkpoint": trained.sha256 for name, trained in models.items()}
        if fleet:
            hashes["shadow models"] = hash_of(fleet.hashes)
        return provenance(
            split,
            self.data.audio,
            self.evaluation,
            command,
            seeds={"training": training_seed(), "split": self.data.split_seed},
            hashes=hashes,
            models=tuple(describe_model(name, trained.record, split) for name, trained in models.items()),
        )


def _seconds_of_training(models: dict[str, Trained]) -> dict[str, float]:
    seconds = {name: float(trained.record.get("seconds", 0.0)) for name, trained in models.items()}
    return {"fit_s": seconds.pop("target"), "controls_s": sum(seconds.values())}


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    timings[name] = round(time.monotonic() - start, 3)


def _of_trainings(models: dict[str, Trained]) -> list[str]:
    told = {name: str(trained.record.get("collapse", "")) for name, trained in models.items()}
    collapses = [f"The training of {name.replace('_', ' ')} collapsed: {what}" for name, what in told.items() if what]
    return [*collapses, *models["target"].record.get("notes", [])]
