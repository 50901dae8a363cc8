"""An encoder that came without its pretext task: it can be asked what it makes of a recording, and no more."""

from typing import Any

from torch import Tensor

from lightning_mia.errors import InputError
from lightning_mia.files import hash_of_file
from lightning_mia.models.base import Pretext, SpeechModel


class BareEncoder(SpeechModel):
    """A black-box encoder out of a checkpoint; `checkpoint` (a file) and `fresh` are among its hyperparameters."""

    @property
    def has_pretext(self) -> bool:
        """Whether `pretext_score` can be asked."""
        return False

    def start_sha256(self) -> str:
        """Hash of the checkpoint; empty with fresh weights."""
        settings: Any = self.hparams
        return "" if settings.fresh else hash_of_file(settings.checkpoint)

    def without_training(self) -> "BareEncoder":
        """Return the same configuration with fresh weights."""
        settings = {name: value for name, value in self.hparams.items() if not name.startswith("_")}
        return type(self)(**{**settings, "fresh": True})

    def pretext(self, waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Pretext:
        """Refused: an encoder alone has no pretext task.

        Raises:
            InputError: always.
        """
        raise InputError(self._no_pretext())

    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        """Refused: an encoder alone has no pretext task.

        Raises:
            InputError: always.
        """
        raise InputError(self._no_pretext())

    def _no_pretext(self) -> str:
        return (
            f"{self.hparams['checkpoint']} is read as an encoder alone, which cannot be pretrained further or asked "
            "for its pretext loss; audit it by the attacks that ask the encoder alone"
        )
