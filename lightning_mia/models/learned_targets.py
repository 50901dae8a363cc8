"""Learned targets of a trained model, copied into others."""

from dataclasses import dataclass
from pathlib import Path

from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import read_checkpoint
from lightning_mia.models.weights import hash_content
from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class LearnedTargets:
    """Targets of a trained model, such as HuBERT's clusters.

    They stay in the model's checkpoint, so that a job that copies them is small to pickle.

    Attributes:
        checkpoint: Lightning checkpoint of the model.
        sha256: hash of the targets.
    """

    checkpoint: Path
    sha256: str

    @classmethod
    def of(cls, model: SpeechModel, checkpoint: Path) -> "LearnedTargets":
        """Describe the targets of a model.

        Args:
            model: model of a family with learned targets.
            checkpoint: its Lightning checkpoint.

        Raises:
            InputError: the targets are not fitted.
        """
        if model.needs_targets:
            raise InputError(
                f"{checkpoint} holds no fitted targets for the shadow models to copy: give the checkpoint of a trained "
                "target, or --fleet.targets own"
            )
        return cls(checkpoint, targets_sha256(model))

    def copy_to(self, model: SpeechModel) -> None:
        """Copy the targets into a model of the same family and configuration.

        Raises:
            InputError: the checkpoint cannot be read, or holds other targets.
        """
        targets = model.learned_targets
        assert targets is not None, "the family has no learned targets"
        prefix = next(name for name, module in model.named_modules() if module is targets) + "."
        weights = read_checkpoint(self.checkpoint)["state_dict"]
        state = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        if hash_content(state) != self.sha256:
            raise InputError(
                f"{self.checkpoint} no longer holds the targets that the shadow models copy; run the same command again"
            )
        targets.load_state_dict(state)


def targets_sha256(model: SpeechModel) -> str:
    """Hash the learned targets of a model."""
    assert model.learned_targets is not None, "the family has no learned targets"
    return hash_content(dict(model.learned_targets.state_dict()))
