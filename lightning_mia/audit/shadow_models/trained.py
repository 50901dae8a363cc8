"""A finished fleet, as the attacks see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lightning_mia.attacks.base import ShadowModels
from lightning_mia.audit.probed_model import ProbedModel
from lightning_mia.audit.shadow_models.as_targets import FleetAnswers
from lightning_mia.audit.shadow_models.job import Task
from lightning_mia.splits import Split
from lightning_mia.training.train import Trained
from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class Fleet:
    """Shadow models that were trained and asked.

    Attributes:
        shadows: what they answered, and who was IN.
        hashes: name → SHA-256 of the checkpoint.
        records: what each training has to tell, as in `Trained`.
    """

    shadows: ShadowModels
    hashes: dict[str, str]
    records: dict[str, dict[str, Any]]

    def answers(self, folder: Path) -> FleetAnswers:
        """As the judgement takes them; scores of attacks that learn are kept in the folder."""
        pairs = zip(self.shadows.signals, self.shadows.keys, strict=True)
        return FleetAnswers(self.shadows, [ProbedModel(signals, None, key, folder) for signals, key in pairs])

    @property
    def seconds(self) -> float:
        """Of all trainings together."""
        return round(sum(float(record["seconds"]) for record in self.records.values()), 3)


def read_fleet(tasks: Sequence[Task], target: Trained, split: Split) -> Fleet:
    """Read what the tasks of a fleet left.

    Raises:
        InputError: a shadow model took another number of optimizer steps, or utterances, than the target, or was
            trained on others than the split says.
    """
    signals, keys, hashes, records = [], [], {}, {}
    for task, column in zip(tasks, split.shadows, strict=True):
        assert task.interview is not None, "the fleet was not asked"
        trained = task.training.run()
        _check_like_target(trained, target)
        _check_exposure(trained, split.training_ids(column))
        signals.append(task.interview.signals(task.name, trained.model, trained.sha256))
        keys.append(task.interview.key(trained.sha256))
        hashes[task.name], records[task.name] = trained.sha256, trained.record
    members = split.table.set_index("id")[split.shadows].astype(bool)
    pool = split.pool()
    asked = pool["id"] if pool is not None else split.table["id"][split.table["part"] != ""]
    return Fleet(ShadowModels(signals, members.loc[asked], pool, keys), hashes, records)


def _check_like_target(trained: Trained, target: Trained) -> None:
    for what in ("steps", "utterances"):
        theirs, ours = trained.record[what], target.record.get(what, trained.record[what])
        if theirs != ours:
            raise InputError(
                f"{trained.checkpoint.parent}: {theirs} {what}, but the target was trained with {ours}: shadow models "
                "must be trained exactly like the target; delete that folder and start again"
            )


def _check_exposure(trained: Trained, ids: Sequence[str]) -> None:
    """Compare what a model was trained on with what it should have been trained on."""
    path = trained.checkpoint.with_name("trained_utterances.csv")
    remedy = f"delete {path.parent} and start again"
    try:
        table = pd.read_csv(path, dtype={"id": str}, keep_default_na=False)
        times = dict(zip(table["id"], table["times"].astype(int), strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is missing or damaged; {remedy}") from error
    if trained.record["steps"] and {name for name, n in times.items() if n} != set(ids):
        raise InputError(f"{path} does not hold the utterances that split.csv has for this shadow model; {remedy}")
