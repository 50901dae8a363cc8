"""Reference models: trained elsewhere, on no recording of the challenge set."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lightning_mia.attacks.base import ShadowModels
from lightning_mia.audit.external_models import ExternalModels
from lightning_mia.audit.probed_model import ProbedModel
from lightning_mia.audit.shadow_models.trained import TrainedShadowModels
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.huggingface.pretrained import PretrainedEncoder
from lightning_mia.models.weights import encoder_sha256
from lightning_mia.training.train import Trained
from lightning_mia.utilities.errors import InputError, list_first

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class References:
    """Reference models of a run.

    Attributes:
        models: name → model; the one that is the wrong model too has its name.
        checkpoints: name → folder, hub name or file, as given.

    Example:
        Load the public base from which the target was fine-tuned:

            references = References.load(["facebook/wav2vec2-base"], target, run.external, wrong_model=True)
            list(references.models)  # ["wrong_model"]
    """

    models: Mapping[str, Trained]
    checkpoints: Mapping[str, str]

    @classmethod
    def load(
        cls, checkpoints: Sequence[str], target: Trained, external: ExternalModels, wrong_model: bool
    ) -> "References":
        """Load the reference models.

        Args:
            checkpoints: folders, hub names or Lightning checkpoints.
            target: the target.
            external: loads models of this run that were trained elsewhere.
            wrong_model: whether the first is the wrong model too.

        Raises:
            InputError: a checkpoint cannot be loaded, has the weights of the target, or is given twice.
        """
        names = {number: f"reference_{number:03d}" for number in range(len(checkpoints))}
        if wrong_model:
            names[0] = "wrong_model"
        seen = {encoder_sha256(target.model): "the target"}
        models: dict[str, Trained] = {}
        for number, checkpoint in enumerate(checkpoints):
            trained = _load(checkpoint, external)
            other = seen.setdefault(encoder_sha256(trained.model), checkpoint)
            if other == "the target":
                raise InputError(
                    f"fleet.references: {checkpoint} has the weights of the target, and a model cannot be compared "
                    "with itself; give checkpoints that were not trained on the members"
                )
            if other != checkpoint or checkpoint in checkpoints[:number]:
                raise InputError(
                    f"fleet.references: {checkpoint} has the weights of {other}; give each reference model once"
                )
            models[names[number]] = trained
        return cls(models, dict(zip(models, checkpoints, strict=True)))

    def probed(self, models: Mapping[str, ProbedModel], wrong_model: Trained | None) -> TrainedShadowModels:
        """Combine their signals, as those of shadow models that know no member.

        Args:
            models: the same models, probed.
            wrong_model: the wrong model of the run; None: there is none.
        """
        names = list(models)
        members = pd.DataFrame(columns=names, dtype=bool)
        pool = pd.DataFrame(columns=["id", "unit_id", "speaker"], dtype=object)
        signals, keys = [models[name].signals for name in names], [models[name].key for name in names]
        shadows = ShadowModels(signals, members, pool, keys)
        hashes = {name: self.models[name].sha256 for name in names}
        weights = [encoder_sha256(self.models[name].model) for name in names]
        wrong = encoder_sha256(wrong_model.model) if wrong_model else None
        position = weights.index(wrong) if wrong in weights else None
        return TrainedShadowModels(shadows, list(models.values()), hashes, wrong_model=position)

    def notes(self, target: SpeechModel) -> list[str]:
        """Say what the user vouches for, and what a reference model lacks.

        Args:
            target: the target.
        """
        named = list_first(list(self.checkpoints.values()))
        are = "is a reference model" if len(self.models) == 1 else "are reference models"
        notes = [
            f"{named} {are}. That they were trained on no recording of the challenge set is the user's statement, on "
            "which the attacks with reference models rest."
        ]
        if "wrong_model" in self.models:
            notes.append(f"The wrong model is the reference model {self.checkpoints['wrong_model']}.")
        score = target.task_score
        for name, trained in self.models.items():
            if _has_score(target, score) and not _has_score(trained.model, score):
                notes.append(
                    f"The reference model {self.checkpoints[name]} has no {score.replace('_', ' ')}: the target is "
                    "compared with it by the encoder alone."
                )
                log.warning(notes[-1])
        return notes


def _load(checkpoint: str, external: ExternalModels) -> Trained:
    if Path(checkpoint).suffix == ".ckpt" and isinstance(external.model, PretrainedEncoder):
        return external.other(Path(checkpoint))
    return external.pretrained(checkpoint) if external.model.is_pretrained else external.other(Path(checkpoint))


def _has_score(model: SpeechModel, name: str) -> bool:
    return model.task_score == name and (model.uses_transcripts or model.has_pretext)
