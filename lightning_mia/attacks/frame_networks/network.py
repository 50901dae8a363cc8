"""A similarity that is learned from frames: what the utterance net and the speaker net have in common."""

from abc import ABC, abstractmethod

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from lightning_mia.attacks.classifiers.fit import VALIDATION_LOSS
from lightning_mia.attacks.frame_networks.batches import LabelledBatch
from lightning_mia.models.layers.features import padding_mask


class AttentionPooling(nn.Module):
    """Weighted mean of an utterance's frames; the weights are a softmax over a linear score of every frame.

    Self-attention pooling after Safari, India and Hernando (2020, arXiv 2008.01077), which Tseng et al. (2022)
    use. Their code *adds* the padding mask, as 0 and 1, to the logits, so that padding gets more weight than
    speech and an utterance's vector depends on the other utterances of its batch. Here padding has the logit −∞
    and no weight.

    Args:
        dim: numbers a frame.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = nn.Linear(dim, 1, bias=False)  # a bias would cancel in the softmax

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Pool a batch.

        Args:
            hidden: (batch, frames, dim) floating point; what stands on padding does not matter if it is finite.
            lengths: (batch,) int64, real frames, at least 1.

        Returns:
            (batch, dim) in the type of `hidden`.
        """
        logits = self.score(hidden).squeeze(-1)  # (batch, frames)
        logits = logits.masked_fill(padding_mask(lengths, hidden.shape[1]), -torch.inf)
        return torch.bmm(logits.softmax(-1).unsqueeze(1), hidden).squeeze(1)


class SimilarityNet(L.LightningModule, ABC):
    """Attention pooling, a linear layer as wide as the frames, and what a subclass makes of it.

    Args:
        dim: numbers a frame.
        dropout: probability.
        learning_rate: of Adam.
    """

    def __init__(self, dim: int, dropout: float, learning_rate: float) -> None:
        super().__init__()
        self.pooling = AttentionPooling(dim)
        self.linear = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)
        self.learning_rate = learning_rate

    def project(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Frames (utterances, frames, dim) and their numbers (utterances,) → one vector each, (utterances, dim)."""
        return self.linear(self.pooling(hidden, lengths))

    @abstractmethod
    def logits(self, projected: Tensor) -> Tensor:
        """Vectors of the utterances of every example (examples, 1 or 2, dim) → (examples,), higher = "member"."""

    def loss(self, batch: LabelledBatch) -> Tensor:
        """Mean binary cross-entropy of a batch, ()."""
        projected = self.project(batch.hidden, batch.lengths)[batch.rows]  # (examples, 1 or 2, dim)
        return binary_cross_entropy_with_logits(self.logits(projected), batch.labels)

    def training_step(self, batch: LabelledBatch, batch_idx: int) -> Tensor:
        """Return the loss."""
        return self.loss(batch)

    def validation_step(self, batch: LabelledBatch, batch_idx: int) -> None:
        """Log the loss, as a mean over all examples."""
        self.log(VALIDATION_LOSS, self.loss(batch), batch_size=len(batch.labels))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, as published."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)
