"""Pretext scores by position and length of the masked spans."""

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.layers.masking import SpanMask, draw_span_mask
from lightning_mia.signals.base import Measured, SignalGroup
from lightning_mia.signals.inputs.random_masks import draw_masks, draw_noise, utterance_generator
from lightning_mia.utilities.ranges import Range, Seed

PARTS = ("early", "middle", "late")
STRETCH = 2  # factor by which spans are shorter or longer than in training


@dataclass(frozen=True)
class PretextDetails(SignalGroup):
    """Pretext scores under masks unlike those of training (grey-box).

    It takes 5 × `n_masks` passes.

    Columns `pretext_details_early`, `…_middle` and `…_late`: masks in one third of the frames only;
    `pretext_details_short_spans` and `…_long_spans`: spans of half and of twice the training length. Each is the mean
    over `n_masks` masks. Models whose pretext task masks no frames (CPC) are not supported.

    Args:
        n_masks: masks of each kind.
        seed: seed of the masks.

    Example:
        >>> PretextDetails(n_masks=2).queries  # five kinds of masks, two of each
        10
    """

    name = "pretext_details"

    n_masks: Annotated[int, Range(1, 10_000)] = 2
    seed: Seed = 0

    @property
    def queries(self) -> int:
        """One pass for each mask."""
        return (len(PARTS) + 2) * self.n_masks

    def supports(self, model: SpeechModel) -> bool:
        """Whether the model has a masked pretext task."""
        return model.has_pretext and model.mask_span is not None

    def measure(self, model: SpeechModel, batch: Batch) -> Measured:
        """Score the pretext task under each kind of mask."""
        distribution = model.mask_span
        assert distribution is not None, "the model is not supported"
        frames = model.frame_lengths(batch.lengths).tolist()
        kinds = {part: self._masks_in_part(batch, frames, distribution, i) for i, part in enumerate(PARTS)}
        span = distribution.length
        for name, length in (("short", max(span // STRETCH, 1)), ("long", span * STRETCH)):
            stretched = replace(distribution, length=length)
            draws = [draw_masks(batch.ids, frames, stretched, draw, self.seed) for draw in range(self.n_masks)]
            kinds[f"{name}_spans"] = torch.stack(draws)
        masks = torch.cat(list(kinds.values())).to(batch.waveforms.device)  # (kinds × draws, batch, frames)
        noise = [draw_noise(batch.ids, frames, model.noise_dim, draw, self.seed) for draw in range(len(masks))]
        scores = model.pretext_score(batch.waveforms, batch.lengths, masks, torch.stack(noise).to(masks.device))
        means = scores.view(len(kinds), self.n_masks, -1).mean(dim=1)
        return Measured({f"{self.name}_{name}": means[i] for i, name in enumerate(kinds)})

    def _masks_in_part(self, batch: Batch, frames: list[int], distribution: SpanMask, part: int) -> Tensor:
        """Draw masks within one third of every utterance.

        Shape: (n_masks, batch, frames) bool.
        """
        masks = torch.zeros(self.n_masks, len(batch.ids), max(frames), dtype=torch.bool)
        for draw, batch_mask in enumerate(masks):
            for row, utterance, n_frames in zip(batch_mask, batch.ids, frames, strict=True):
                start, end = third(n_frames, part)
                rng = utterance_generator(utterance, draw, self.seed, f"{PARTS[part]}/")
                row[start:end] = (
                    torch.from_numpy(draw_span_mask(end - start, distribution, rng)) if end - start > 1 else True
                )
        return masks


def third(n_frames: int, part: int) -> tuple[int, int]:
    """Return start and end of a third, never empty.

    >>> [third(10, part) for part in range(3)], [third(2, part) for part in range(3)]
    ([(0, 3), (3, 7), (7, 10)], [(0, 1), (1, 2), (1, 2)])
    """
    start = min(round(part * n_frames / 3), n_frames - 1)
    return start, max(round((part + 1) * n_frames / 3), start + 1)
