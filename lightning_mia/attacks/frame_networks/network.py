"""Networks on frames: attention pooling and a linear projection."""

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from lightning_mia.attacks.classifiers.fit import SmallNet
from lightning_mia.attacks.frame_networks.batches import LabelledBatch
from lightning_mia.models.layers.features import padding_mask


class AttentionPooling(nn.Module):
    """Mean of an utterance's frames, weighted by learned scores.

    pool(h) = Σ_t α_t h_t, with α the softmax over the frames t of w · h_t.

    Self-attention pooling of Safari, India and Hernando (2020, arXiv 2008.01077), used by Tseng et al. (2022). Their
    code *adds* the padding mask, as 0 and 1, to the logits: padding then outweighs speech, and an utterance's vector
    depends on the rest of its batch. Here padding has the logit −∞ and no weight.

    Args:
        dim: dimension of the frames.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = nn.Linear(dim, 1, bias=False)  # a bias would cancel in the softmax

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Pool a batch.

        Args:
            hidden: (batch, frames, dim) floating point; padding may hold any finite values.
            lengths: (batch,) int64, frames without padding, at least 1.

        Returns:
            (batch, dim) in the type of `hidden`.
        """
        logits = self.score(hidden).squeeze(-1)  # (batch, frames)
        logits = logits.masked_fill(padding_mask(lengths, hidden.shape[1]), -torch.inf)
        return torch.bmm(logits.softmax(-1).unsqueeze(1), hidden).squeeze(1)


class SimilarityNet(SmallNet):
    """Base class of networks on pooled and projected utterances.

    Args:
        dim: dimension of the frames, and of the projection.
        dropout: dropout probability.
        learning_rate: learning rate of Adam.
    """

    def __init__(self, dim: int, dropout: float, learning_rate: float) -> None:
        super().__init__(learning_rate)
        self.pooling = AttentionPooling(dim)
        self.linear = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def project(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Pool and project, (utterances, frames, dim) and (utterances,) → (utterances, dim)."""
        return self.linear(self.pooling(hidden, lengths))

    @abstractmethod
    def logits(self, projected: Tensor) -> Tensor:
        """Compute logits of examples, higher = "member".

        (examples, 1 or 2 utterances, dim) → (examples,).
        """

    def loss(self, batch: LabelledBatch) -> Tensor:
        """Compute the mean binary cross-entropy, ()."""
        projected = self.project(batch.hidden, batch.lengths)[batch.rows]  # (examples, 1 or 2, dim)
        return binary_cross_entropy_with_logits(self.logits(projected), batch.labels)
