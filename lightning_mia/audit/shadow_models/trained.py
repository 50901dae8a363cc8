"""Load the signals of all trained shadow models."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning_mia.attacks.base import ShadowModels
from lightning_mia.audit.probed_model import ProbedModel
from lightning_mia.audit.shadow_models.shadow_model_job import ShadowModelJob
from lightning_mia.models.learned_targets import LearnedTargets, targets_sha256
from lightning_mia.splits.data_module import SplitCorpus
from lightning_mia.training.exposures import read_exposures
from lightning_mia.training.train import EXPOSURES, Trained
from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class TrainedShadowModels:
    """Trained and probed shadow models.

    Attributes:
        shadows: signals and members of all models, input of the attacks.
        probed: the same models one by one, to be attacked as targets.
        hashes: name → SHA-256 of the checkpoint.
        records: name → training record, as in `Trained`.
        versions: name → package versions with which it was trained and probed.
        unexposed: name → members that the model was never trained on.
        wrong_model: position of the reference model that is the wrong model too; None: there is none.

    Example:
        Train and probe the shadow models of an audit:

            shadow_models = TrainedShadowModels.load(jobs, target, run.data)
            shadow_models.shadows.members  # (recordings, models) bool: trained on
            shadow_models.probed[0].signals  # signals of the first shadow model
    """

    shadows: ShadowModels
    probed: Sequence[ProbedModel]
    hashes: dict[str, str] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    unexposed: dict[str, list[str]] = field(default_factory=dict)
    wrong_model: int | None = None

    @classmethod
    def load(cls, jobs: Sequence[ShadowModelJob], target: Trained, data: SplitCorpus) -> "TrainedShadowModels":
        """Load the results of finished jobs.

        Args:
            jobs: one per shadow model, with a probe plan.
            target: the target, which the shadow models must be trained like, if it was trained here.
            data: the corpus, and the members of every shadow model.

        Raises:
            InputError: a shadow model differs from the target in optimizer steps or in the targets that it copied, or
                was trained on other recordings than those in the split.
        """
        split = data.split
        probed, hashes, records, versions, missing = [], {}, {}, {}, {}
        for job, column in zip(jobs, split.shadows, strict=True):
            assert job.probe_plan is not None
            trained, plan = job.training.run(), job.probe_plan
            if data.like_target:  # else the target was trained elsewhere, or on more recordings
                _check_like_target(trained, target, job.training.targets)
            missing[job.name] = _unexposed_members(trained, split.training_ids(column))
            signals = plan.signals(job.name, trained.model, trained.sha256)
            probed.append(ProbedModel(signals, None, plan.key(trained.sha256), plan.folder))
            hashes[job.name], records[job.name] = trained.sha256, trained.record
            versions[job.name] = [trained.versions, *plan.versions(job.name, trained.model, trained.sha256)]
        members = split.table.set_index("id")[split.shadows].astype(bool)
        pool = split.pool()
        ids = pool["id"] if pool is not None else split.table["id"][split.table["part"] != ""]
        keys = [model.key for model in probed]
        shadows = ShadowModels([model.signals for model in probed], members.loc[ids], pool, keys)
        return cls(shadows, probed, hashes, records, versions, missing)

    @property
    def seconds(self) -> float:
        """Total training time (seconds)."""
        return round(sum(float(record.get("seconds", 0.0)) for record in self.records.values()), 3)


def _check_like_target(trained: Trained, target: Trained, targets: LearnedTargets | None) -> None:
    steps, expected = trained.record.get("steps"), target.record.get("steps")
    if None not in (steps, expected) and steps != expected:
        raise InputError(
            f"{trained.checkpoint.parent}: {steps} steps, but the target was trained with {expected}: shadow models "
            "must be trained exactly like the target; delete that folder and run the same command again"
        )
    if targets and targets_sha256(trained.model) != targets.sha256:
        raise InputError(
            f"{trained.checkpoint}: its clusters are not those of the target; delete {trained.checkpoint.parent} and "
            "run the same command again"
        )


def _unexposed_members(trained: Trained, ids: Sequence[str]) -> list[str]:
    """Compare a model's training recordings with the split."""
    if "steps" not in trained.record:  # nothing is known about a model that was trained elsewhere
        return []
    path = trained.checkpoint.with_name(EXPOSURES)
    times = read_exposures(trained)
    if times.keys() != set(ids):
        raise InputError(
            f"{path} does not match the members of this shadow model in split.csv; delete {path.parent} and run the "
            "same command again"
        )
    return [name for name in ids if not times[name]]
