"""From the frames of an utterance to one vector, by weights that are learned."""

import torch
from torch import Tensor, nn

from lightning_mia.models.features import padding_mask


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
