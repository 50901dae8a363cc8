"""What a model is asked about recordings that it has never seen."""

from dataclasses import dataclass, replace

from lightning_mia.models.base import SpeechModel
from lightning_mia.models.masking import SpanMask
from lightning_mia.probe.encoder_answers import EncoderAnswers


@dataclass(frozen=True)
class CommonTask(EncoderAnswers):
    """The questions of every audit, with masks of a common law: models trained with different masks can be compared.

    Args:
        n_masks: as in `EncoderAnswers`.
        mask_seed: as in `EncoderAnswers`.
        mask_probability: instead of the model's own; None: the model's own.
    """

    name = "utility"

    mask_probability: float | None = None

    def law(self, model: SpeechModel) -> SpanMask | None:
        """The model's own spans, as many as are wanted; None where its task hides no frames."""
        own = model.mask_span
        if own is None or self.mask_probability is None:
            return own
        return replace(own, probability=self.mask_probability)
