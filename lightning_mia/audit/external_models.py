"""Load models that were trained elsewhere, and check what they were trained on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_mia.audit.trained_elsewhere import vouching_notes
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import constructor_arguments, initialise, load_model
from lightning_mia.models.huggingface.pretrained import PretrainedEncoder
from lightning_mia.splits.data_module import SplitCorpus
from lightning_mia.training.train import Trained
from lightning_mia.training.trainer_factory import training_seed
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of, hash_of_file


@dataclass(frozen=True)
class ExternalModels:
    """Models of a run that it did not train.

    Attributes:
        run_dir: folder of the run.
        model: class and configuration of the target; a pretrained model may itself be the target.
        data: decoded corpus and split.

    Example:
        Load the target of a run, and another checkpoint like it:

            models = ExternalModels(Path("runs/base"), PretrainedEncoder("facebook/wav2vec2-base"), data)
            target = models.pretrained_target()
            wrong_model = models.pretrained("facebook/wav2vec2-base-100k-voxpopuli")
    """

    run_dir: Path
    model: SpeechModel
    data: SplitCorpus

    def load(self, checkpoint: Path) -> Trained:
        """Load a Lightning checkpoint as the target.

        Args:
            checkpoint: Lightning checkpoint.

        Raises:
            InputError: the file is no checkpoint of this model, or it was trained on another split or other members.
        """
        trained = from_lightning(checkpoint, self.model)
        trained.record["notes"] += self.check_origin(checkpoint, trained.model)
        if trained.model.origin.get("split") is None:
            trained.record["notes"] += vouching_notes(self.data.drawn, str(checkpoint))
        return trained

    def check_origin(self, checkpoint: Path, model: SpeechModel, name: str = "target") -> list[str]:
        """Check that a model was trained on its members, if it records that.

        Args:
            checkpoint: its file, for messages.
            model: the model.
            name: whose members: "target", "shadow_000", ….

        Returns:
            A note for the report if the checkpoint is one of this split but does not record its recordings.

        Raises:
            InputError: it was trained on another split, or on other recordings.
        """
        self._check_split(str(checkpoint), model)
        return self._check_members(checkpoint, model, name)

    def pretrained_target(self) -> Trained:
        """Return the pretrained model of the config as the target.

        Raises:
            InputError: members were drawn at random, but not before its training.
        """
        name = str(self.model.hparams.get("checkpoint", "The model"))
        self._check_split(name, self.model)
        return self.as_constructed(self.model, vouching_notes(self.data.drawn, name))

    def pretrained(self, checkpoint: str) -> Trained:
        """Load another checkpoint with the options of the target.

        It need not be a speech recogniser if the target is one.

        Args:
            checkpoint: folder or hub name.
        """
        model_class = PretrainedEncoder if isinstance(self.model, PretrainedEncoder) else type(self.model)
        model = model_class(**{**constructor_arguments(self.model), "checkpoint": checkpoint})
        return self.as_constructed(model.for_corpus(*self.data.texts_and_durations()))

    def other(self, checkpoint: Path) -> Trained:
        """Load a Lightning checkpoint of the target's class that is not the target.

        Args:
            checkpoint: Lightning checkpoint.

        Raises:
            InputError: the file is no checkpoint of this class, or it was trained on the members.
        """
        model = load_model(checkpoint, self.model)
        trained_on = model.origin.get("recordings") or _recordings_beside(checkpoint, model.origin.get("stage"))
        if self.data.has_background and trained_on == self.data.audio.data_hash(self.data.split.training_ids()):
            raise InputError(f"{checkpoint} was trained on the members of this split, so it is no reference model")
        return _external_model(model, checkpoint, hash_of_file(checkpoint))

    def as_constructed(self, model: SpeechModel, notes: Sequence[str] = ()) -> Trained:
        """Return a model with its initial weights.

        The weights come from its checkpoint, or are drawn with the training seed.

        Args:
            model: the model.
            notes: sentences for the report.
        """
        return with_initial_weights(model, self.run_dir, training_seed(), notes)

    def _check_split(self, checkpoint: str, model: SpeechModel) -> None:
        """Check that a model was trained on these members."""
        split = self.data.split
        theirs, ours = model.origin.get("split"), split.sha256
        if theirs is None and split.drawn and self.data.drawn is None:
            raise InputError(
                f"{checkpoint} does not record what it was trained on, so randomly drawn members would be meaningless: "
                "give a manifest with a member column, or the folder of the `lightning-mia split` whose list it was "
                "trained on (--split)"
            )
        if theirs is not None and theirs != ours:
            raise InputError(
                f"{checkpoint} was trained on another split (hash {theirs[:12]}, but {ours[:12]} in {self.run_dir}): "
                "its members are not those evaluated here; use the corpus, design and data.split_seed of its training"
            )

    def _check_members(self, checkpoint: Path, model: SpeechModel, name: str) -> list[str]:
        """Check that a checkpoint of this split was trained on its members; see `check_origin`."""
        if model.origin.get("split") is None:
            return []
        theirs = model.origin.get("recordings") or _recordings_beside(checkpoint, model.origin.get("stage"))
        if theirs is None:
            return [f"{checkpoint} does not record its recordings: that it was trained on the members is not verified."]
        if theirs == self._recordings(name):
            return []
        if name != "target":
            others = [other for other in ("target", *self.data.split.shadows) if theirs == self._recordings(other)]
            raise InputError(
                f"{checkpoint} was trained on other recordings than those of {name}"
                f"{f', on those of {others[0]}' if others else ''}; give every list the checkpoint that was trained "
                "on it"
            )
        raise InputError(
            f"{checkpoint} was trained on other recordings than the members of this split, as a shadow, wrong or "
            "untrained model is; give the checkpoint of the target, such as R/target/model.ckpt"
        )

    def _recordings(self, name: str) -> str:
        """Hash the training recordings of the target or a shadow model."""
        return self.data.data_hash(self.data.split.training_ids(name))


def from_lightning(checkpoint: Path, template: SpeechModel) -> Trained:
    """Load a Lightning checkpoint, without training record.

    Args:
        checkpoint: Lightning checkpoint.
        template: class and configuration that it must have.

    Raises:
        InputError: the file is no checkpoint of this model.
    """
    return _external_model(load_model(checkpoint, template), checkpoint, hash_of_file(checkpoint))


def with_initial_weights(model: SpeechModel, checkpoint: Path, seed: int, notes: Sequence[str] = ()) -> Trained:
    """Return a model with its initial weights.

    Args:
        model: the model.
        checkpoint: file or folder to name.
        seed: seed of the weights that no checkpoint sets.
        notes: sentences for the report.
    """
    sha256 = model.weights_sha256() or hash_of([constructor_arguments(model), seed])
    return _external_model(initialise(model, seed), checkpoint, sha256, notes)


def _recordings_beside(checkpoint: Path, stage: str | None) -> str | None:
    """Read the recordings' hash from the stage of an older checkpoint."""
    try:
        stored = json.loads(checkpoint.with_name("stage.json").read_text(encoding="utf-8"))
        return str(stored["settings"]["recordings"]) if stored["sha256"] == stage else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _external_model(model: SpeechModel, checkpoint: Path, sha256: str, notes: Sequence[str] = ()) -> Trained:
    """Wrap a model trained elsewhere, without training record."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Trained(model.eval(), checkpoint, sha256, {"parameters": parameters, "notes": list(notes)})
