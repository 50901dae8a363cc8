"""The main job, as it flows: corpus, split, fit, probe, attack, report."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from lightning_mia.account import judged_ids, provenance, skipped_recordings, summarise_split
from lightning_mia.attacks import Attack, default_attacks
from lightning_mia.controls.blind_statistics import blind_statistics
from lightning_mia.controls.settings import ControlSettings
from lightning_mia.data.module import SpeechDataModule
from lightning_mia.errors import InputError
from lightning_mia.evaluation import EvaluationSettings
from lightning_mia.files import hash_of, hash_of_file
from lightning_mia.judgement import Judgement, judge
from lightning_mia.models.base import SpeechModel
from lightning_mia.probe.run import probe
from lightning_mia.probe.settings import ProbeSettings
from lightning_mia.probe.signals import Signals
from lightning_mia.report.audit_report import (
    AuditReport,
    Provenance,
    Target,
    TrainedModel,
)
from lightning_mia.report.run_report import write_report
from lightning_mia.stage import Stage
from lightning_mia.trainer_factory import TrainerFactory, training_seed
from lightning_mia.training.checkpoint import load_model
from lightning_mia.training.initialise import hyperparameters_of
from lightning_mia.training.train import Trained, train


@dataclass
class Audit:
    """One run directory and what is to be done in it; finishes what is missing and repeats nothing.

    Args:
        run_dir: folder of the run.
        model: class and configuration of the target; its weights are not used.
        data: the corpus and the design.
        trainers: how models are trained.
        attacks: attacks to run; the default ones where empty.
        probing: how signals are taken.
        controls: which controls are run.
        evaluation: how scores are judged.
    """

    run_dir: Path
    model: SpeechModel
    data: SpeechDataModule
    trainers: TrainerFactory
    attacks: Sequence[Attack] = ()
    probing: ProbeSettings = field(default_factory=ProbeSettings)
    controls: ControlSettings = field(default_factory=ControlSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    notes: list[str] = field(default_factory=list, init=False)

    def load(self) -> None:
        """Decode the corpus and draw the split.

        Raises:
            InputError: the corpus cannot be used, the run was begun with another split, or an attack stands twice.
        """
        names = [attack.name for attack in self.attacks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"Attacks of the same name: {', '.join(twice)}; name each attack and layer once")
        self.data.load(self.run_dir / "split.csv")

    def fit_target(self) -> Trained:
        """Train the target on its member set."""
        return self._train("target", self.data.split.training_ids(), self.trainers)

    def fit_wrong_model(self) -> Trained | None:
        """Train the same model on neither side; None without auxiliary recordings."""
        ids = self.data.split.auxiliary_ids()
        return self._train("wrong_model", ids, self.trainers) if ids else None

    def fit_untrained(self) -> Trained:
        """The target as it was before its first step: a training of no epochs.

        Targets that are learned (HuBERT's clusters) come from the auxiliary recordings, or, where there are none, from
        both sides of the challenge set alike.
        """
        ids = self.data.split.auxiliary_ids() or list(self.data.split.table["id"])
        no_epochs = TrainerFactory({**self.trainers.options, "max_epochs": 0, "max_steps": -1})
        return self._train("untrained", ids, no_epochs)

    def _train(self, name: str, ids: list[str], trainers: TrainerFactory) -> Trained:
        self.data.split.save_once(self.run_dir / "split.csv")
        seed = training_seed()
        folder = self.run_dir / name
        recordings = self.data.training_recordings(ids, seed)
        settings: dict[str, Any] = {
            "split": self.data.split.sha256,
            "recordings": self.data.audio.sha256_of(ids),
            "model": type(self.model).__name__,
            "hyperparameters": hyperparameters_of(self.model),
            "batches_per_epoch": recordings.n_batches,
            "seed": seed,
            "trainer": trainers.of_consequence(),
        }
        make_trainer = partial(trainers.for_training, folder, f"Training {name.replace('_', ' ')}")
        return train(self.model, recordings, Stage(folder, settings), seed, make_trainer)

    def load_target(self, target_checkpoint: Path | None) -> Trained:
        """The target that `fit` left in the run directory, or one from elsewhere.

        Raises:
            InputError: there is none, or it does not fit the config.
        """
        if target_checkpoint is None:
            if not (self.run_dir / "target" / "model.ckpt").exists():
                raise InputError(
                    f"{self.run_dir} holds no trained target; run `lightning-mia fit` with the same config and run "
                    "directory first, or give --target_checkpoint"
                )
            return self.fit_target()
        model = load_model(target_checkpoint, self.model)
        self._check_split_of(target_checkpoint, model)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        return Trained(model, target_checkpoint, hash_of_file(target_checkpoint), {"parameters": parameters})

    def _check_split_of(self, checkpoint: Path, model: SpeechModel) -> None:
        theirs, ours = model.origin.get("split"), self.data.split.sha256
        if theirs is None and self.data.split.drawn:
            raise InputError(
                f"{checkpoint} does not say what it was trained on, and a split drawn now would be invented: give "
                "a manifest with a member column"
            )
        if theirs is not None and theirs != ours:
            raise InputError(
                f"{checkpoint} was trained on another split (hash {theirs[:12]} there, {ours[:12]} in {self.run_dir}): "
                "its members are not the ones judged here; use the corpus, design and data.split_seed of its training"
            )

    def control_models(self) -> dict[str, Trained]:
        """The models that cannot know the members, as far as they are asked for and can be had."""
        models: dict[str, Trained] = {}
        if self.controls.untrained:
            models["untrained"] = self.fit_untrained()
        if self.controls.wrong_model:
            if wrong_model := self.fit_wrong_model():
                models["wrong_model"] = wrong_model
            else:
                self.notes.append("There are no auxiliary recordings, so the wrong-model control was left out.")
        return models

    def signals(self, name: str, trained: Trained) -> Signals:
        """Signals of one model for every recording that may be judged."""
        ids = judged_ids(self.data.split)
        key = hash_of([trained.sha256, self.data.audio.sha256_of(ids), self.probing.of_consequence(), *self._asked()])
        path = self.run_dir / "probes" / f"{name}-{key[:16]}.npz"
        make_trainer = partial(self.trainers.for_probing, path.parent, f"Probing {name.replace('_', ' ')}")
        return probe(trained.model, self.data.queries(ids), self.probing, path, make_trainer)

    def _asked(self) -> list[Any]:
        """What beside audio and masks changes the signals, where it is not the default."""
        changes = self.data.query_changes.of_consequence()
        return [changes] if changes else []

    def report(self, target: Trained, config_yaml: str = "", command: str = "") -> Path:
        """Probe the target and its controls, attack, judge, and write the report.

        Args:
            target: the model that is judged.
            config_yaml: every setting of the run, for the reader.
            command: the command that repeats the run, for the reader.

        Returns:
            The report's page.
        """
        self.data.split.save_once(self.run_dir / "split.csv")
        models = {"target": target, **self.control_models()}
        start = time.monotonic()
        signals = {name: self.signals(name, trained) for name, trained in models.items()}
        probe_s = time.monotonic() - start
        report_dir = self.run_dir / "report"
        if getattr(rank_zero_only, "rank", 0):  # the other processes were needed for training and probing alone
            return report_dir / "report.html"
        start = time.monotonic()
        judgement = self._judge(signals)
        timings = {
            "fit_s": float(target.record.get("seconds", 0.0)),
            "controls_s": sum(float(models[name].record["seconds"]) for name in models.keys() - {"target"}),
            "shadow_s": 0.0,  # no fleet is trained
            "probe_s": round(probe_s, 3),
            "attack_s": round(time.monotonic() - start, 3),
        }
        report = AuditReport(
            target=Target(self.model.family, target.sha256, target.record["parameters"]),
            split=summarise_split(self.data.split),
            verdict=judgement.verdict,
            attacks=judgement.attacks,
            controls=judgement.controls,
            scores=judgement.scores,
            blind_upper95=dict(judgement.blind_upper95),
            timings=timings,
            provenance=self._provenance(models, command),
            skipped=skipped_recordings(self.data.audio),
            config_yaml=config_yaml,
            notes=tuple(self.notes),
        )
        return write_report(report_dir, report)

    def _judge(self, signals: dict[str, Signals]) -> Judgement:
        split = self.data.split
        return judge(
            self.attacks or default_attacks(),
            signals["target"],
            {name: of_model for name, of_model in signals.items() if name != "target"},
            blind_statistics(self.data.audio, judged_ids(split)),
            split,
            self.evaluation,
        )

    def _provenance(self, models: dict[str, Trained], command: str) -> Provenance:
        return provenance(
            self.data.split,
            self.data.audio,
            self.evaluation,
            command,
            seeds={"training": training_seed(), "split": self.data.split_seed},
            hashes={f"{name} checkpoint": trained.sha256 for name, trained in models.items()},
            models=tuple(self._describe(name, trained) for name, trained in models.items()),
        )

    def _describe(self, name: str, trained: Trained) -> TrainedModel:
        """What a model was trained on, for the report."""
        record, split = trained.record, self.data.split
        if "steps" not in record:
            return TrainedModel(name, "not known: the checkpoint comes from elsewhere")
        trained_on = {"target": "members", "wrong_model": "auxiliary recordings", "untrained": "nothing"}[name]
        ids = {"target": split.training_ids(), "wrong_model": split.auxiliary_ids(), "untrained": []}[name]
        return TrainedModel(
            name=name,
            trained_on=trained_on,
            n_utterances=len(ids),
            n_speakers=int(split.table.set_index("id").loc[ids, "speaker"].nunique()),
            hours=record["hours"] if ids else 0.0,
            epochs=record["epochs"],
            steps=record["steps"],
            seconds=record["seconds"],
        )
