"""Contrastive predictive coding (CPC).

Van den Oord et al. (2018) and Rivière et al. (2020).
"""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.base import SpeechModel
from lightning_mia.models.layers.convolutions import WaveformFrontEnd
from lightning_mia.models.layers.transformer import Block
from lightning_mia.models.objectives.future_prediction import (
    Negatives,
    draw_windows,
    prediction_collapse,
    prediction_loss,
    prediction_score,
)
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
        negatives: Negatives = "utterance",
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
        self.n_steps, self.negatives, self.window, self.scale = n_steps, negatives, window, math.sqrt(dim)
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

    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        """Compute the log-odds of the true frames' geometric mean probability.

        Negatives are other frames of the same utterance, regardless of `negatives`; see `prediction_score` and
        `SpeechModel.pretext_score`.
        """
        if noise is None:
            raise ValueError("Expected noise to draw negatives from, but got None")
        return prediction_score(self.predictors, self.encode(waveforms, lengths), noise, self.scale)

    def pretext(self, waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Pretext:
        """Compute the InfoNCE loss of an excerpt of every utterance; `masks` are ignored."""
        encoded = self.encode(*draw_windows(waveforms, lengths, self.window))
        return prediction_loss(self.predictors, encoded, self.noise_dim, self.scale, self.negatives)

    def collapse(self, health: dict[str, float]) -> str:
        """Describe constant frames or a loss at chance, if any."""
        return prediction_collapse(health)


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
