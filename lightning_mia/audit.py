"""The main job, as it flows: corpus, split, fit, probe, attack, report."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from lightning_mia.account import describe_model, judged_ids, provenance, skipped_recordings, summarise_split
from lightning_mia.attacks import Attack, default_attacks
from lightning_mia.controls.blind_statistics import blind_statistics
from lightning_mia.controls.settings import ControlSettings
from lightning_mia.data.module import SpeechDataModule
from lightning_mia.errors import InputError
from lightning_mia.evaluation import EvaluationSettings
from lightning_mia.files import hash_of, hash_of_file
from lightning_mia.judgement import Asked, Judgement, judge
from lightning_mia.models.base import SpeechModel
from lightning_mia.probe.frames import FrameStream
from lightning_mia.probe.run import probe
from lightning_mia.probe.settings import ProbeSettings
from lightning_mia.probe.signals import Signals
from lightning_mia.report.audit_report import AuditReport, Provenance, PublishedFigure, Target
from lightning_mia.report.run_report import write_report
from lightning_mia.stage import Stage
from lightning_mia.trainer_factory import TrainerFactory, training_seed
from lightning_mia.training.checkpoint import load_model
from lightning_mia.training.initialise import hyperparameters_of, initialise
from lightning_mia.training.train import Trained, train


@dataclass
class Audit:
    """One run directory and what is to be done in it; finishes what is missing and repeats nothing.

    Args:
        run_dir: folder of the run.
        model: class and configuration of the target; where it arrives trained, perhaps the target itself.
        data: the corpus and the design.
        trainers: how models are trained.
        attacks: attacks to run; the default ones where empty.
        probing: how signals are taken.
        controls: which controls are run.
        evaluation: how scores are judged.
        published: figures of a paper to print beside ours.
    """

    run_dir: Path
    model: SpeechModel
    data: SpeechDataModule
    trainers: TrainerFactory
    attacks: Sequence[Attack] = ()
    probing: ProbeSettings = field(default_factory=ProbeSettings)
    controls: ControlSettings = field(default_factory=ControlSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    published: Sequence[PublishedFigure] = ()
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
        self.notes += self.data.notes
        audio, ids = self.data.audio, list(self.data.split.table["id"])
        texts = {utterance: audio.texts.get(utterance, "") for utterance in ids}
        self.model = self.model.for_corpus(texts, audio.index.loc[ids, "duration"].to_dict())

    def fit_target(self) -> Trained:
        """Train the target on its member set."""
        return self.train("target", self.data.split.training_ids())

    def fit_wrong_model(self) -> Trained | None:
        """Train the same model on neither side; None without auxiliary recordings."""
        ids = self.data.split.auxiliary_ids()
        return self.train("wrong_model", ids) if ids else None

    def fit_untrained(self) -> Trained:
        """The target as it was before its first step: a training of no epochs.

        Targets that are learned (HuBERT's clusters) come from the auxiliary recordings, or, where there are none, from
        both sides of the challenge set alike.
        """
        ids = self.data.split.auxiliary_ids() or list(self.data.split.table["id"])
        return self.train("untrained", ids, max_epochs=0)

    def train(self, name: str, ids: list[str], max_epochs: int | None = None, start: Trained | None = None) -> Trained:
        """Train a model of the target's class and configuration, or take it as an earlier start left it.

        Args:
            name: folder of the training in the run directory.
            ids: recordings to train on.
            max_epochs: passes over them, instead of the length that the Trainer's options set.
            start: a model whose weights the training goes on from.
        """
        self.data.split.save_once(self.run_dir / "split.csv")
        trainers = self.trainers if max_epochs is None else self.trainers.of_epochs(max_epochs)
        seed = training_seed()
        folder = self.run_dir / name
        recordings = self.data.training_recordings(ids, seed)
        settings: dict[str, Any] = {
            "split": self.data.split.sha256,
            "recordings": self.data.audio.sha256_of(ids),
            "model": type(self.model).__name__,
            "hyperparameters": hyperparameters_of(self.model),
            "start": start.sha256 if start else self.model.start_sha256(),
            "waveforms": self.data.training_changes.of_consequence(),
            "batches_per_epoch": recordings.n_batches,
            "seed": seed,
            "trainer": trainers.of_consequence(),
        }
        if self.model.uses_transcripts:
            settings["transcripts"] = hash_of({utterance: self.data.audio.texts[utterance] for utterance in ids})
        make_trainer = partial(trainers.for_training, folder, f"Training {name.replace('_', ' ')}")
        first = start.model if start else None
        return train(self.model, recordings, Stage(folder, settings), seed, make_trainer, first)

    def load_target(self, target_checkpoint: Path | None) -> Trained:
        """The target that `fit` left in the run directory, one from elsewhere, or one that arrived trained.

        Raises:
            InputError: there is none, or it does not fit the config.
        """
        if target_checkpoint is not None:
            model = load_model(target_checkpoint, self.model)
            self._check_split_of(str(target_checkpoint), model)
            return _untold(model, target_checkpoint, hash_of_file(target_checkpoint))
        if (self.run_dir / "target" / "model.ckpt").exists():
            return self.fit_target()
        if not self.model.arrives_trained:
            raise InputError(
                f"{self.run_dir} holds no trained target; run `lightning-mia fit` with the same config and run "
                "directory first, or give --target_checkpoint"
            )
        self._check_split_of(str(self.model.hparams.get("checkpoint", "The model")), self.model)
        return self.as_it_arrives(self.model)

    def as_it_arrives(self, model: SpeechModel) -> Trained:
        """A model with the weights that it is constructed with: those of its checkpoint, or drawn from the seed."""
        sha256 = model.start_sha256() or hash_of([hyperparameters_of(model), training_seed()])
        return _untold(initialise(model, training_seed()), self.run_dir, sha256)

    def _check_split_of(self, checkpoint: str, model: SpeechModel) -> None:
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

    def control_models(self, target: Trained) -> dict[str, Trained]:
        """The models that cannot know the members, as far as they are asked for and can be had."""
        arrived = self.model.arrives_trained and "steps" not in target.record
        models: dict[str, Trained] = {}
        if self.controls.untrained:
            models["untrained"] = self.as_it_arrives(self.model.without_training()) if arrived else self.fit_untrained()
        if self.controls.wrong_model:
            wrong_model = self._arrived_wrong_model() if arrived else self.fit_wrong_model()
            if wrong_model:
                models["wrong_model"] = wrong_model
            else:
                self.notes.append(
                    "No other checkpoint that was trained on neither side was given "
                    "(--controls.wrong_model_checkpoint), so the wrong-model control was left out."
                    if arrived
                    else "There are no auxiliary recordings, so the wrong-model control was left out."
                )
        return models

    def _arrived_wrong_model(self) -> Trained | None:
        checkpoint = self.controls.wrong_model_checkpoint
        if checkpoint is None:
            return None
        return self.as_it_arrives(type(self.model)(**{**hyperparameters_of(self.model), "checkpoint": checkpoint}))

    def signals(self, name: str, trained: Trained, ids: list[str]) -> Signals:
        """Signals of one model for some recordings, from the run directory where they are already there."""
        key = hash_of([trained.sha256, *self._questions(ids)])
        path = self.run_dir / "probes" / f"{name.replace('/', '-')}-{key[:16]}.npz"
        make_trainer = partial(self.trainers.for_probing, path.parent, f"Probing {name.replace('_', ' ')}")
        return probe(trained.model, self.data.queries(ids), self.probing, path, make_trainer)

    def _questions(self, ids: list[str]) -> list[Any]:
        """What beside the model determines its answers."""
        audio = self.data.audio
        asked = [audio.sha256_of(ids), self.probing.of_consequence(), self.data.query_changes.of_consequence()]
        return [*asked, [audio.texts.get(utterance, "") for utterance in ids]] if self.model.uses_transcripts else asked

    def ask(self, models: dict[str, Trained]) -> dict[str, Asked]:
        """Probe models about the judged recordings, and let attacks that learn from frames ask them for more."""
        ids = judged_ids(self.data.split)
        may_ask = [*ids, *self.data.split.auxiliary_ids()]
        device = self.trainers.device()
        asked = {}
        for name, trained in models.items():
            signals = self.signals(name, trained, ids)
            frames = FrameStream(trained.model, self.data.queries(may_ask), self.probing.batch_seconds, device)
            key = hash_of([trained.sha256, *self._questions(may_ask)])
            asked[name] = Asked(signals, frames, key, self.run_dir / "probes")
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
        models = {"target": target, **self.control_models(target)}
        start = time.monotonic()
        asked = self.ask(models)
        probe_s = time.monotonic() - start
        report_dir = self.run_dir / "report"
        if getattr(rank_zero_only, "rank", 0):  # the other processes were needed for training and probing alone
            return report_dir / "report.html"
        start = time.monotonic()
        judgement = self._judge(asked)
        timings = {
            "fit_s": float(target.record.get("seconds", 0.0)),
            "controls_s": sum(float(models[name].record.get("seconds", 0.0)) for name in models.keys() - {"target"}),
            "shadow_s": 0.0,  # no fleet is trained
            "probe_s": round(probe_s, 3),
            "attack_s": round(time.monotonic() - start, 3),
        }
        report = AuditReport(
            target=Target(target.model.family, target.sha256, target.record["parameters"]),
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
            notes=(*self.notes, *_collapses(models), *judgement.notes),
            published=tuple(self.published),
        )
        return write_report(report_dir, replace(report, **sections))

    def attacks_to_run(self) -> Sequence[Attack]:
        """The attacks that were named, or the default ones."""
        return self.attacks or default_attacks()

    def _judge(self, asked: dict[str, Asked]) -> Judgement:
        split = self.data.split
        return judge(
            self.attacks_to_run(),
            asked,
            blind_statistics(self.data.audio, judged_ids(split)),
            split,
            self.evaluation,
            named=bool(self.attacks),
            seed=training_seed(),
        )

    def _provenance(self, models: dict[str, Trained], command: str) -> Provenance:
        split = self.data.split
        return provenance(
            split,
            self.data.audio,
            self.evaluation,
            command,
            seeds={"training": training_seed(), "split": self.data.split_seed},
            hashes={f"{name} checkpoint": trained.sha256 for name, trained in models.items()},
            models=tuple(describe_model(name, trained.record, split) for name, trained in models.items()),
        )


def _untold(model: SpeechModel, checkpoint: Path, sha256: str) -> Trained:
    """A model that we did not train, so that there is no record of it."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Trained(model.eval(), checkpoint, sha256, {"parameters": parameters})


def _collapses(models: dict[str, Trained]) -> list[str]:
    told = {name: str(trained.record.get("collapse", "")) for name, trained in models.items()}
    return [f"The training of {name.replace('_', ' ')} collapsed: {what}" for name, what in told.items() if what]
