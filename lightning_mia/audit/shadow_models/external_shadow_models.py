"""Shadow models that were trained elsewhere, on the lists of a drawn split."""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import lightning as L

from lightning_mia.audit.external_models import from_lightning, with_initial_weights
from lightning_mia.audit.trained_elsewhere import age_notes
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import build
from lightning_mia.models.learned_targets import LearnedTargets
from lightning_mia.splits.drawn_folder.drawn import DrawnFolder
from lightning_mia.training.train import Trained
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError, list_first

NUMBER = re.compile(r"\{0?(?::(?:0\d+)?d?)?\}")
EXAMPLE = "DIR/shadow_{:03d}"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExternalShadowModels:
    """Checkpoints that were trained elsewhere, in complementary pairs.

    Attributes:
        checkpoints: name of the list, such as "shadow_000" → file or folder.
        notes: sentences for the report.

    Example:
        Find those of all lists of a drawn split:

            found = ExternalShadowModels.find("cluster/shadow_{:03d}", DrawnFolder.load("S"))
            found.checkpoints["shadow_000"]  # cluster/shadow_000
    """

    checkpoints: Mapping[str, Path]
    notes: tuple[str, ...] = ()

    @classmethod
    def find(cls, pattern: str, drawn: DrawnFolder, size: int = 0) -> "ExternalShadowModels":
        """Find the checkpoint of every list; leave out pairs that are not whole.

        Args:
            pattern: path of the checkpoints, with one number.
            drawn: the split on whose lists they were trained.
            size: number of shadow models, the first ones; 0: all.

        Raises:
            InputError: the pattern has no number or several, the split has no lists of shadow models, no whole pair
                exists, or there are more checkpoints than lists.
        """
        lists = drawn.split.shadows
        if not lists:
            raise InputError(
                f"{drawn.folder} has no lists of shadow models, on which those of {pattern} could have been trained: "
                "draw it again with `lightning-mia split … --shadows N`"
            )
        paths = {name: checkpoint_path(pattern, number) for number, name in enumerate(lists[: size or None])}
        if (further := checkpoint_path(pattern, len(lists))).exists():
            raise InputError(
                f"{further} exists, but {drawn.folder} has the lists of {len(lists)} shadow models only, "
                f"{lists[0]} to {lists[-1]}: number the checkpoints like the lists, from 0, or draw more lists"
            )
        missing = [name for name, path in paths.items() if not path.exists()]
        pairs = {_pair(name) for name in missing}
        kept = {name: path for name, path in paths.items() if _pair(name) not in pairs}
        if not kept:
            raise InputError(
                f"fleet.checkpoints {pattern}: {list_first([str(paths[name]) for name in missing])} do not exist, so "
                "no complementary pair (000 and 001, 002 and 003, …) is whole; give the path of existing checkpoints, "
                f"such as {EXAMPLE}"
            )
        notes = [*_missing_notes(paths, missing, kept), *age_notes(drawn, kept)]
        for note in notes:
            log.warning("%s", note)
        return cls(kept, tuple(notes))

    def jobs(
        self, arguments: Mapping[str, Any], model_class: type[SpeechModel], trainers: TrainerFactory, seed: int
    ) -> list["ExternalCheckpoint"]:
        """Return what is loaded in place of a training.

        Args:
            arguments: constructor arguments of the target.
            model_class: class of the target.
            trainers: creates the Trainers of the probes.
            seed: seed of weights that a checkpoint lacks.
        """
        return [
            ExternalCheckpoint(f"shadows/{name.removeprefix('shadow_')}", path, model_class, arguments, trainers, seed)
            for name, path in self.checkpoints.items()
        ]


@dataclass(frozen=True)
class ExternalCheckpoint:
    """A shadow model that is loaded, in place of its training; picklable.

    Attributes:
        name: name of the shadow model, such as "shadows/003".
        checkpoint: Lightning checkpoint, or whatever the target's class reads as `checkpoint`.
        model_class: class of the target.
        arguments: constructor arguments of the target.
        trainers: creates the Trainers of the probes.
        seed: seed of weights that the checkpoint lacks.
        is_lightning: whether it is a Lightning checkpoint.
    """

    name: str
    checkpoint: Path
    model_class: type[SpeechModel]
    arguments: Mapping[str, Any]
    trainers: TrainerFactory
    seed: int
    is_lightning: bool = False

    done: ClassVar[bool] = True
    targets: ClassVar[LearnedTargets | None] = None

    def run(self, callbacks: Sequence[L.Callback] = ()) -> Trained:
        """Load the model; see `TrainingJob.run`.

        Raises:
            InputError: it cannot be read, or has another class or configuration than the target.
        """
        if self.is_lightning:
            return from_lightning(self.checkpoint, build(partial(self.model_class, **self.arguments)))
        changed = {"checkpoint": str(self.checkpoint), "revision": None}
        arguments = {**self.arguments, **{name: value for name, value in changed.items() if name in self.arguments}}
        return with_initial_weights(build(partial(self.model_class, **arguments)), self.checkpoint, self.seed)


def checkpoint_path(pattern: str, number: int) -> Path:
    """Fill the number of a shadow model into a pattern.

    Raises:
        InputError: the pattern has no number or several.

    >>> checkpoint_path("runs/shadow_{:03d}", 7).name, checkpoint_path("runs/{}.ckpt", 7).name
    ('shadow_007', '7.ckpt')
    """
    fields = NUMBER.findall(pattern)
    rest = NUMBER.sub("", pattern)
    if len(fields) != 1 or "{" in rest or "}" in rest:
        raise InputError(
            f"fleet.checkpoints is {pattern}: give a path with one number, {{}}, {{:d}} or {{:03d}}, such as {EXAMPLE}"
        )
    return Path(os.path.expanduser(pattern.replace(fields[0], fields[0].format(number))))


def _pair(name: str) -> int:
    return int(name.rsplit("_", 1)[1]) // 2


def _missing_notes(paths: Mapping[str, Path], missing: Sequence[str], kept: Mapping[str, Path]) -> list[str]:
    """Name missing checkpoints, and the partners that are left out with them."""
    if not missing:
        return []
    partners = [name for name in paths if name not in kept and name not in missing]
    named = list_first([str(paths[name]) for name in missing])
    text = f"{len(missing)} of {len(paths)} shadow models were not found: {named}."
    if partners:
        text += f" Their partners were left out, too, since pairs are kept whole: {list_first(partners)}."
    return [f"{text} {len(kept)} shadow models remain."]
