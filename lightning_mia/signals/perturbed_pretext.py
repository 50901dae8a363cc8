"""Change of the pretext score under small perturbations."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import Measured, Resources, SignalGroup, Work, task_passes
from lightning_mia.signals.inputs.augmentations import BandStop, TimeShift, View, WhiteNoise, apply_view
from lightning_mia.signals.inputs.random_masks import draw_masks_and_noise
from lightning_mia.utilities.ranges import Decibels, Range, Seed


@dataclass(frozen=True)
class PerturbedTask(SignalGroup):
    """Pretext score of a view minus the recording's (grey-box).

    It takes 4 × `n_masks` passes.

    Columns `perturbed_pretext_score_noise`, `…_shift` and `…_band`: differences under the same masks, mean over
    `n_masks` of them. A model fine-tuned with CTC has `perturbed_ctc_score_noise` … too.

    Args:
        n_masks: masks.
        snr: signal-to-noise ratio of the noise view (dB).
        seed: seed of the masks and the views.

    Example:
        >>> group = PerturbedTask(n_masks=2)
        >>> [view.name for view in group.views], group.queries
        (['noise', 'shift', 'band'], 8)
    """

    name = "perturbed"

    n_masks: Annotated[int, Range(1, 10_000)] = 2
    snr: Decibels = 20.0
    seed: Seed = 0

    @property
    def views(self) -> tuple[View, ...]:
        """Views that keep every frame in place."""
        return WhiteNoise(self.snr), TimeShift(), BandStop()

    @property
    def queries(self) -> int:
        """The recording and its views, each under every mask."""
        return (1 + len(self.views)) * self.n_masks

    def supports(self, model: SpeechModel) -> bool:
        """Whether the model has a score of its training task."""
        return model.has_pretext or model.uses_transcripts

    def work(self, model: SpeechModel, recordings: Recordings, resources: Resources) -> Work:
        """Count the passes of every view."""
        passes = (1 + len(self.views)) * task_passes(model, self.n_masks)
        return Work(0.0, passes * float(recordings.durations.sum()))

    def measure(self, model: SpeechModel, batch: Batch) -> Measured:
        """Score the training task on recording and views."""
        masks, noise = draw_masks_and_noise(model, batch, model.mask_span, self.n_masks, self.seed)
        original = _mean_scores(model, batch, masks, noise)
        scalars: dict[str, Tensor] = {}
        for view in self.views:
            perturbed = _mean_scores(model, apply_view(batch, view, 0, self.seed), masks, noise)
            scalars |= {f"{self.name}_{name}_{view.name}": perturbed[name] - original[name] for name in original}
        return Measured(scalars)


def _mean_scores(model: SpeechModel, batch: Batch, masks: Tensor, noise: Tensor) -> dict[str, Tensor]:
    """Average the task's scores over masks, (batch,) float64 each.

    Counts of errors are left out.
    """
    scores = model.task_scores(batch, masks, noise)
    return {
        name: values.mean(dim=0) if values.dim() == 2 else values
        for name, values in scores.items()
        if name.endswith("_score")
    }
