"""Contrastive predictive coding (CPC).

Van den Oord et al. (2018) and Rivière et al. (2020).
"""

import math
from collections.abc import Iterator
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.base import SpeechModel
from lightning_mia.models.layers.convolutions import WaveformFrontEnd
from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.layers.transformer import Block
from lightning_mia.models.objectives.log_odds import log_odds, log_probability
from lightning_mia.models.outputs import Encoded, Pretext
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import Count, CountOrNone, Dropout, Layers, Range, Rate, Share, Weight, Width

KERNELS = (10, 8, 4, 4, 4)  # receptive field 465 samples
STRIDES = (5, 4, 2, 2, 2)  # hop 160 samples
MIN_WINDOW = 1600  # samples, the shortest utterance that models accept


class CPC(SpeechModel):
    """CPC on waveforms.

    Convolutions yield a frame every 10 ms, and a recurrent network turns these into contexts; the loss is InfoNCE over
    the next frames. Unlike in the published code, waveforms are normalised per utterance, convolutions are not padded,
    and the last frames of a window predict too, up to the end of the window.

    Args:
        dim: channels of the five convolutions, and width of the context (published: 256).
        n_layers: recurrent layers of the context network (published: 1).
        lstm: LSTM, as in Rivière et al.; false: GRU, as in the original.
        n_steps: frames of 10 ms to predict ahead (published: 12); fewer in a shorter utterance.
        n_negatives: negatives per frame (published: 128).
        negatives: source of the negatives in training. `utterance`: the same utterance, so that the voice does not
            give them away (the published code: the same speaker); `batch`: all utterances of the batch.
        predictor_heads: attention heads of a causal transformer layer per step, as in Rivière et al. (8); 0: a matrix
            per step, as in the original.
        dropout: probability of dropping an activation in those layers (published: 0.1).
        window: longest excerpt of an utterance to train on, drawn anew every time (samples; published: 20480).
        learning_rate: peak learning rate of AdamW (published: 2e-4).
        weight_decay: weight decay of AdamW.
        warmup_fraction: share of the steps in which the learning rate rises.

    Example:
        >>> model = CPC(dim=16, n_negatives=8).eval()
        >>> encoded = model.encode(torch.randn(1, 16_000), torch.tensor([16_000]))  # 1 s
        >>> len(encoded.hidden), encoded.hidden[-1].shape
        (2, torch.Size([1, 98, 16]))
    """

    family = "cpc"

    def __init__(
        self,
        dim: Width = 48,
        n_layers: Layers = 1,
        lstm: bool = False,
        n_steps: Width = 12,
        n_negatives: Count = 64,
        negatives: Literal["utterance", "batch"] = "utterance",
        predictor_heads: CountOrNone = 0,
        dropout: Dropout = 0.0,
        window: Annotated[int, Range(MIN_WINDOW, 10_000_000)] = 20_480,
        learning_rate: Rate = 6e-3,
        weight_decay: Weight = 0.01,
        warmup_fraction: Share = 0.1,
    ) -> None:
        super().__init__()
        for name, value in {"n_layers": n_layers, "n_steps": n_steps, "n_negatives": n_negatives}.items():
            if value < 1:
                raise InputError(f"Expected {name} of at least 1, but got {value}")
        if negatives not in ("utterance", "batch"):
            raise InputError(f"Expected negatives from utterance or batch, but got {negatives}")
        if window < MIN_WINDOW:
            raise InputError(f"Expected a window of at least {MIN_WINDOW} samples (0.1 s), but got {window}")
        if predictor_heads and dim % predictor_heads:
            raise InputError(f"Expected dim to be a multiple of predictor_heads = {predictor_heads}, but got {dim}")
        self.save_hyperparameters()
        self.noise_dim = n_negatives
        self.n_steps, self.negatives, self.window = n_steps, negatives, window
        self.front_end = WaveformFrontEnd(dim, group_norm=False, kernels=KERNELS, strides=STRIDES, activation=F.relu)
        recurrent = nn.LSTM if lstm else nn.GRU
        self.context = nn.ModuleList(recurrent(dim, dim, batch_first=True) for _ in range(n_layers))
        self.predictors = nn.ModuleList(
            CausalLayer(dim, predictor_heads, dropout, window) if predictor_heads else nn.Linear(dim, dim, bias=False)
            for _ in range(n_steps)
        )

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames of 10 ms."""
        return self.front_end.frame_lengths(lengths)

    def encode(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode a batch, see `SpeechModel.encode`.

        Layer 0 is the output of the convolutions, the last layer the context. Training masks nothing, so there is no
        learned vector for masked frames: they are set to zero.
        """
        latents = self.front_end(waveforms, lengths)  # (batch, frames, dim)
        if masks is not None:
            latents = latents.masked_fill(masks.unsqueeze(2), 0.0)
        hidden = [latents]
        for layer in self.context:
            hidden.append(layer(hidden[-1])[0])  # causal: padding on the right has no effect
        return Encoded(tuple(hidden), self.frame_lengths(lengths))

    def _similarities(self, encoded: Encoded, candidates: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Compare predictions with candidates, for each step ahead.

        Args:
            encoded: latents and contexts.
            candidates: (batch, n, dim), the latents first.

        Yields:
            Logits of the true frames (batch, frames − step) and of all candidates (batch, frames − step, n), float32,
            and a mask of real frames (batch, frames − step) bool; row i is the prediction of frame `step` + i.
        """
        contexts, candidates = encoded.hidden[-1], candidates.float().transpose(1, 2)
        n_frames = contexts.shape[1]
        for step in range(1, min(self.n_steps, n_frames - 1) + 1):
            predictions = self.predictors[step - 1](contexts)[:, :-step]
            with torch.autocast(predictions.device.type, enabled=False):
                logits = predictions.float() @ candidates / math.sqrt(predictions.shape[2])
            real = ~padding_mask(encoded.lengths - step, n_frames - step)
            yield logits.diagonal(step, dim1=1, dim2=2), logits, real

    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        """Compute the log-odds of the true frames' geometric mean probability.

        The mean is over all frames and steps ahead. Negatives are other frames of the same utterance, regardless of
        `negatives`. A frame's row of noise determines its negatives, the same for all steps. See
        `SpeechModel.pretext_score`.
        """
        if noise is None:
            raise ValueError("Expected noise to draw negatives from, but got None")
        encoded = self.encode(waveforms, lengths)
        draws = draw_other_frames(noise.reshape(-1, *noise.shape[-3:]), encoded.lengths)
        log_p = torch.zeros(draws.shape[:2], dtype=torch.float64, device=draws.device)  # (draws, batch)
        n_predictions = torch.zeros_like(log_p[0])
        for step, (true, logits, real) in enumerate(self._similarities(encoded, encoded.hidden[0]), start=1):
            n_predictions += real.sum(dim=1)
            for draw, negatives in enumerate(draws):
                others = logits.gather(2, negatives[:, step:])
                log_p[draw] += (log_probability(true, others) * real).sum(dim=1)
        return log_odds(log_p / n_predictions).view(noise.shape[:-2])

    def pretext(self, waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Pretext:
        """Compute the InfoNCE loss; `masks` are ignored.

        It is averaged over the batch's frames and the steps ahead.
        """
        encoded = self.encode(*draw_windows(waveforms, lengths, self.window))
        latents = encoded.hidden[0]
        if self.negatives == "batch":
            candidates, negatives = draw_batch_negatives(latents, encoded.lengths, self.noise_dim)
        else:
            # Drawn frame by frame, so that padding at the end does not change the draws before it.
            noise = torch.rand(latents.shape[1], len(latents), self.noise_dim, device=latents.device).transpose(0, 1)
            candidates, negatives = latents, draw_other_frames(noise, encoded.lengths)
        loss, hits, n_predictions = 3 * [torch.zeros((), device=latents.device)]
        for step, (true, logits, real) in enumerate(self._similarities(encoded, candidates), start=1):
            others = logits.gather(2, negatives[:, step:])  # (batch, frames − step, n_negatives)
            loss = loss + (F.softplus(others.logsumexp(dim=2) - true) * real).sum()
            hits = hits + ((true > others.amax(dim=2)) & real).sum()  # a tie is a miss
            n_predictions = n_predictions + real.sum()
        health = {
            "contrastive_accuracy": hits / n_predictions,
            "contrastive_chance": self._chance(encoded.lengths),
            "loss_over_chance": (loss / n_predictions).detach() / math.log(1 + self.noise_dim),
            "frame_variation": frame_variation(latents.detach().float(), encoded.lengths),
        }
        return Pretext(loss / n_predictions, health)

    def _chance(self, frame_lengths: Tensor) -> Tensor:
        """Compute the accuracy of guessing.

        It is one over the expected number of distinct frames among the true frame and its negatives.
        """
        others = (frame_lengths if self.negatives == "utterance" else frame_lengths.sum()) - 1.0
        return (1 / (1 + others * (1 - (1 - 1 / others) ** self.noise_dim))).mean()

    def collapse(self, health: dict[str, float]) -> str:
        """Describe constant frames or a loss at chance, if any."""
        if health["frame_variation"] < 1e-3:
            return f"CPC's frames are constant (variation {health['frame_variation']:.1e} of their energy)"
        if not health["loss_over_chance"] < 0.98:  # true for NaN as well
            share = f"{health['loss_over_chance']:.2f}"
            return f"CPC has learned nothing: its loss is {share} of chance, log(1 + n_negatives)"
        return ""


class CausalLayer(nn.Module):
    """Causal transformer layer that predicts a future frame.

    It has no position encoding: the recurrent contexts carry the order. Rivière et al. learn an attention bias for each
    distance within their window; attention has the same reach here, without the bias.

    Args:
        dim: width of the contexts.
        n_heads: attention heads.
        dropout: probability of dropping an activation.
        window: reach of the attention (samples).
    """

    def __init__(self, dim: int, n_heads: int, dropout: float, window: int) -> None:
        super().__init__()
        self.block = Block(dim, n_heads, feedforward_dim=8 * dim, dropout=dropout, pre_norm=False)
        self.reach = window // math.prod(STRIDES)  # frames

    def forward(self, contexts: Tensor) -> Tensor:
        """(batch, frames, dim) → same shape."""
        time = torch.arange(contexts.shape[1], device=contexts.device)
        distance = time.unsqueeze(1) - time  # (frames, frames)
        return self.block(contexts, (distance >= 0) & (distance < self.reach))


def draw_windows(waveforms: Tensor, lengths: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Draw an excerpt of every utterance, from torch's global generator.

    Args:
        waveforms: (batch, samples), zero-padded.
        lengths: (batch,) int64, real samples.
        window: longest excerpt (samples).

    Returns:
        (batch, at most `window`) and (batch,) int64.
    """
    size = min(window, waveforms.shape[1])
    latest = (lengths - size).clamp(min=0)
    start = torch.minimum((torch.rand(len(lengths), device=lengths.device) * (latest + 1)).long(), latest)
    samples = start.unsqueeze(1) + torch.arange(size, device=lengths.device)
    return waveforms.gather(1, samples), lengths.clamp(max=size)


def draw_other_frames(noise: Tensor, lengths: Tensor) -> Tensor:
    """Draw other real frames, uniformly and with replacement.

    Args:
        noise: (…, batch, frames, n) float32 in [0, 1), the only randomness.
        lengths: (batch,) int64, real frames, at least 2.

    Returns:
        (…, batch, frames, n) int64; undefined for frames beyond an utterance's end.

    Example:
        >>> draw_other_frames(torch.tensor([0.0, 0.4, 0.99]).expand(1, 4, 3), torch.tensor([4]))[0].tolist()
        [[1, 2, 3], [2, 3, 0], [3, 0, 1], [0, 1, 2]]
    """
    lengths = lengths.view(-1, 1, 1)
    ahead = torch.minimum((noise * (lengths - 1)).long(), lengths - 2)  # float32 could round up
    time = torch.arange(noise.shape[-2], device=noise.device).unsqueeze(1)
    return (time + 1 + ahead) % lengths


def draw_batch_negatives(latents: Tensor, lengths: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Draw n negatives per utterance from all utterances.

    All frames of an utterance share them. If a frame is its own negative, the next frame of its utterance replaces it.

    Args:
        latents: (batch, frames, dim).
        lengths: (batch,) int64, real frames, at least 2.
        n: negatives.

    Returns:
        Candidates (batch, frames + n, dim), the latents first, and the indices of every frame's negatives among them,
        (batch, frames, n) int64.
    """
    n_frames, ends = latents.shape[1], lengths.cumsum(dim=0)
    index = (torch.rand(len(lengths), n, device=latents.device) * ends[-1]).long()
    index = torch.minimum(index, ends[-1] - 1)  # among the concatenated real frames of all utterances
    utterance = torch.searchsorted(ends, index, right=True)
    frame = index - (ends - lengths)[utterance]
    time = torch.arange(n_frames, device=latents.device)
    same = utterance == torch.arange(len(lengths), device=latents.device).unsqueeze(1)  # (batch, n)
    itself = same.unsqueeze(1) & (frame.unsqueeze(1) == time.unsqueeze(1))  # (batch, frames, n)
    after = ((time + 1) % lengths.unsqueeze(1)).unsqueeze(2)  # (batch, frames, 1)
    drawn = n_frames + torch.arange(n, device=latents.device)
    return torch.cat([latents, latents[utterance, frame]], dim=1), torch.where(itself, after, drawn)


def frame_variation(latents: Tensor, lengths: Tensor) -> Tensor:
    """Compute the share of energy outside the mean frame.

    0 means constant frames.

    Args:
        latents: (batch, frames, dim).
        lengths: (batch,) int64, real frames.
    """
    real = ~padding_mask(lengths, latents.shape[1]).unsqueeze(2)
    mean = (latents * real).sum(dim=1, keepdim=True) / lengths.view(-1, 1, 1)
    return ((latents - mean) * real).square().sum() / (latents * real).square().sum().clamp(min=1e-12)
