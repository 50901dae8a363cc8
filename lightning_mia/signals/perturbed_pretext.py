"""The score of the training task when the recording is changed a little."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import Measured, SignalGroup
from lightning_mia.signals.inputs.augmentations import BandStop, TimeShift, View, WhiteNoise, viewed
from lightning_mia.signals.inputs.random_masks import draw_masks, draw_noise
from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class PerturbedTask(SignalGroup):
    """By how much the training task is solved worse or better on a view (grey-box, 4 × `n_masks` passes).

    Columns `perturbed_pretext_score_noise`, `…_shift` and `…_band`: the score of the view minus that of the recording,
    under the same masks, mean over `n_masks` of them. A model fine-tuned by CTC has `perturbed_ctc_score_noise` … too.

    Args:
        n_masks: masks.
        snr: of the noise (dB).
        seed: of the masks and of what views draw.
    """

    name = "perturbed"

    n_masks: int = 2
    snr: float = 20.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no mean."""
        if self.n_masks < 1:
            raise InputError(f"n_masks of PerturbedTask is {self.n_masks}: give 1 or more")

    @property
    def views(self) -> tuple[View, ...]:
        """Views that leave every frame where it was, and the transcript true."""
        return WhiteNoise(self.snr), TimeShift(), BandStop()

    @property
    def queries(self) -> int:
        """The plain one and the views, each under every mask."""
        return (1 + len(self.views)) * self.n_masks

    def can_ask(self, model: SpeechModel) -> bool:
        """Whether the model has a score of its training task."""
        return model.has_pretext or model.uses_transcripts

    def measure(self, model: SpeechModel, batch: Batch) -> Measured:
        """Ask about the recording, and about each view of it."""
        frames, draws = model.frame_lengths(batch.lengths).tolist(), range(self.n_masks)
        masks = torch.stack([draw_masks(batch.ids, frames, model.mask_span, draw, self.seed) for draw in draws])
        noise = torch.stack([draw_noise(batch.ids, frames, model.noise_dim, draw, self.seed) for draw in draws])
        questions = masks.to(batch.waveforms.device), noise.to(batch.waveforms.device)
        plain = _scores(model, batch, *questions)
        scalars: dict[str, Tensor] = {}
        for view in self.views:
            of_view = _scores(model, viewed(batch, view, 0, self.seed), *questions)
            scalars |= {f"{self.name}_{name}_{view.name}": of_view[name] - plain[name] for name in plain}
        return Measured(scalars)


def _scores(model: SpeechModel, batch: Batch, masks: Tensor, noise: Tensor) -> dict[str, Tensor]:
    """The scores of the task, without counts of errors, (batch,) float64 each."""
    answers = model.task_scores(batch, masks, noise)
    scores = {name: values for name, values in answers.items() if name.endswith("_score")}
    return {name: values.mean(dim=0) if values.dim() == 2 else values for name, values in scores.items()}
