"""PartCrop in time: responses of frames to crops."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.layers.features import padding_mask
from lightning_mia.signals.base import Measured, Resources, SignalGroup, Work
from lightning_mia.signals.features.cosine import mean_pool
from lightning_mia.signals.inputs.augmentations import random_crop
from lightning_mia.signals.inputs.random_masks import draw_noise, utterance_generator
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import PositiveShare, Range, Seed

CROPS_PER_BATCH = 4  # crops of one recording, together about as long as the recording


@dataclass(frozen=True)
class CropResponses(SignalGroup):
    """Responses of the last layer's frames to crops (black-box).

    Let p_k be the pooled output for crop k, G (frames, dim) the output for the whole recording, and
    q_k = softmax(G p_k) over the frames. Columns `crops_uniform_00` … and `crops_gaussian_00` …: KL(uniform ‖ q_k) and
    KL(softmax of Gaussian noise ‖ q_k), sorted over the crops, each as `n_kept` evenly spaced quantiles. Zhu et al.
    (2024, CCS), section 4, take 128 crops and keep all sorted values; 32 cost a quarter, about 5 passes
    (1 + `n_crops` × mean share of a crop). Crops last at least 0.1 s, so all crops of a very short recording coincide.

    Args:
        n_crops: crops of each recording.
        n_kept: quantiles kept of each sorted list.
        shortest: minimum share of the recording in a crop.
        longest: maximum share of the recording in a crop.
        seed: seed of the crops and of the Gaussian noise.

    Example:
        >>> CropResponses(n_crops=32).queries  # the recording and its crops
        33
    """

    name = "crops"

    n_crops: Annotated[int, Range(2, 10_000)] = 32
    n_kept: Annotated[int, Range(2, 10_000)] = 16
    shortest: PositiveShare = 0.08
    longest: PositiveShare = 0.2
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        if self.n_kept > self.n_crops:
            raise InputError(f"n_kept of CropResponses is {self.n_kept}: give 2 to n_crops = {self.n_crops}")
        if self.shortest > self.longest:
            raise InputError(
                f"CropResponses takes crops of {self.shortest} to {self.longest} of a recording: give two shares, the "
                "shorter one first, above 0 and at most 1"
            )

    @property
    def queries(self) -> int:
        """The recording, and its crops."""
        return 1 + self.n_crops

    def work(self, model: SpeechModel, recordings: Recordings, resources: Resources) -> Work:
        """Count crops by their mean share of a recording."""
        passes = 1 + self.n_crops * (self.shortest + self.longest) / 2
        return Work(0.0, passes * float(recordings.durations.sum()))

    def measure(self, model: SpeechModel, batch: Batch) -> Measured:
        """Compare each crop's response with two reference distributions."""
        encoded = model.encode(batch.waveforms, batch.lengths)
        frames = encoded.hidden[-1].double()
        pooled = torch.cat(list(self._pooled_crops(model, batch)), dim=1)  # (batch, n_crops, dim)
        scores = torch.bmm(pooled, frames.transpose(1, 2))  # (batch, n_crops, frames)
        noise = self._noise(batch, encoded.lengths)
        divergences = {
            "uniform": response_divergence(scores, torch.zeros_like(scores), encoded.lengths),
            "gaussian": response_divergence(scores, noise, encoded.lengths),
        }
        levels = torch.linspace(0, 1, self.n_kept, dtype=torch.float64, device=scores.device)
        kept = {name: values.quantile(levels, dim=1) for name, values in divergences.items()}  # (n_kept, batch)
        digits = len(str(self.n_kept - 1))
        return Measured(
            {
                f"{self.name}_{name}_{i:0{digits}d}": values[i]
                for name, values in kept.items()
                for i in range(self.n_kept)
            }
        )

    def _pooled_crops(self, model: SpeechModel, batch: Batch) -> Iterator[Tensor]:
        """Yield pooled outputs of a few crops, (batch, crops, dim)."""
        samples = batch.waveforms.cpu()
        for first in range(0, self.n_crops, CROPS_PER_BATCH):
            draws = range(first, min(first + CROPS_PER_BATCH, self.n_crops))
            crops = [
                self._crop(row[:length], name, draw)
                for name, row, length in zip(batch.ids, samples, batch.lengths.tolist(), strict=True)
                for draw in draws
            ]
            lengths = torch.tensor([len(crop) for crop in crops], device=batch.lengths.device)
            waveforms = torch.nn.utils.rnn.pad_sequence(crops, batch_first=True).to(batch.waveforms.device)
            encoded = model.encode(waveforms, lengths)
            yield mean_pool(encoded.hidden[-1], encoded.lengths).view(len(batch.ids), len(draws), -1)

    def _crop(self, waveform: Tensor, utterance: str, draw: int) -> Tensor:
        rng = utterance_generator(utterance, draw, self.seed, "crop/")
        return torch.from_numpy(random_crop(waveform.numpy(), rng.uniform(self.shortest, self.longest), rng))

    def _noise(self, batch: Batch, lengths: Tensor) -> Tensor:
        """Draw standard normal noise, 0 on padding.

        Shape: (batch, n_crops, frames) float64.
        """
        uniform = draw_noise(batch.ids, lengths.tolist(), self.n_crops, 0, self.seed).double().transpose(1, 2)
        middle = uniform + 2.0**-25  # avoids 0 and 1: a float32 in [0, 1) is a multiple of 2^-24, at most 1 - 2^-24
        normal = math.sqrt(2) * torch.erfinv(2 * middle - 1)
        return normal.masked_fill(padding_mask(lengths.cpu(), normal.shape[2]).unsqueeze(1), 0.0).to(lengths.device)


def response_divergence(scores: Tensor, reference: Tensor, lengths: Tensor) -> Tensor:
    """Compute KL(softmax(reference) ‖ softmax(scores)) over the real frames.

    Args:
        scores: (batch, crops, frames) float64.
        reference: (batch, crops, frames) float64; zeros for the uniform distribution.
        lengths: (batch,) real frames.

    Returns:
        (batch, crops) float64, at least 0.

    >>> scores = torch.tensor([[[0.0, 0.0, 9.0]]]).double()
    >>> response_divergence(scores, torch.zeros_like(scores), torch.tensor([2])).tolist()
    [[0.0]]
    """
    padding = padding_mask(lengths, scores.shape[2]).unsqueeze(1)
    log_q = scores.masked_fill(padding, -torch.inf).log_softmax(dim=2).masked_fill(padding, 0.0)
    log_p = reference.masked_fill(padding, -torch.inf).log_softmax(dim=2).masked_fill(padding, 0.0)
    p = log_p.exp().masked_fill(padding, 0.0)
    return (p * (log_p - log_q)).sum(dim=2).clamp(min=0.0)
