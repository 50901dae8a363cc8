"""The paper's improved utterance-level attack: a net that learns to see what the basic score sees."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lightning_mia.attacks.fit_settings import FitSettings
from lightning_mia.attacks.frame_source import FrameSource
from lightning_mia.attacks.labelled_batches import Example
from lightning_mia.attacks.learned_attack import LearnedAttack
from lightning_mia.attacks.similarity_net import SimilarityNet
from lightning_mia.probe.similarity import mean_pairwise_cosine


class UtteranceNet(SimilarityNet):
    """Attention pooling → linear → dropout → ReLU → linear(1); arguments as in `SimilarityNet`."""

    def __init__(self, dim: int, dropout: float, learning_rate: float) -> None:
        super().__init__(dim, dropout, learning_rate)
        self.output = nn.Linear(dim, 1)

    def logits(self, projected: Tensor) -> Tensor:
        """See `SimilarityNet.logits`; (examples, 1, dim) → (examples,)."""
        return self.output(self.dropout(projected[:, 0]).relu()).squeeze(-1)


class LearnedUtteranceSimilarity(LearnedAttack):
    """A net that is fitted on the auxiliary utterances with the most and the least alike frames.

    The basic score (mean dissimilarity, 1 − cos, of an utterance's frames) ranks the auxiliary recordings: the k
    highest are taken for members, the k lowest for non-members, and the next k on each side validate. The net learns
    to tell them apart from attention-pooled frames, and its logit is the score of a challenge utterance. No auxiliary
    recording is ever judged.

    Taken from the paper: the labels, the net, its dropout, loss, optimizer and epochs; from the authors' code, where
    the paper is silent: a hidden layer as wide as the frames, batches of 32, patience, the best weights by validation
    loss. Different: padding is masked (see `AttentionPooling`), and the auxiliary recordings are not those that are
    judged.

    With `paper_protocol` they are: the net is fitted on the non-members of the challenge set, as in the paper. Its
    scores then depend on the labels, while the redraws behind a p-value take scores that do not: that p-value means
    nothing, whatever it says. The attack stands among the controls and never carries a verdict.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
        k: utterances a side that are labelled, and as many that validate; at most a quarter of the auxiliary ones.
        fit: how the net is fitted.
        paper_protocol: whether it is fitted on the very non-members that it judges.
    """

    levels = ("utterance",)
    plain_name = "learned_utterance_similarity"
    unit, units = "id", "auxiliary utterances of at least two frames"
    least_units = 16  # four of each label in training, and in validation

    def __init__(
        self, layer: int = -1, k: int = 500, fit: FitSettings = FitSettings(), paper_protocol: bool = False
    ) -> None:
        super().__init__(layer, k, fit, paper_protocol)

    def _net(self, dim: int) -> UtteranceNet:
        return UtteranceNet(dim, self.fit.dropout, self.fit.learning_rate)

    def _basic_scores(self, source: FrameSource, auxiliary: pd.DataFrame) -> pd.Series:
        found: dict[str, float] = {}
        for frames in source.stream(list(auxiliary["id"]), "Ranking auxiliary recordings"):
            dissimilarity = 1 - mean_pairwise_cosine(frames.hidden, frames.lengths)
            found |= zip(frames.ids, dissimilarity.tolist(), strict=True)
        return pd.Series(found, dtype=float)

    def _examples(self, labelled: pd.DataFrame, labels: pd.Series, generator: np.random.Generator) -> Sequence[Example]:
        return [Example((str(utterance),), label) for utterance, label in labels.items()]

    def _scores(self, net: SimilarityNet, source: FrameSource, challenge: pd.DataFrame) -> pd.Series:
        found: dict[str, float] = {}
        with torch.inference_mode():
            for frames in source.stream(list(challenge["id"]), f"Scoring {self.name}"):
                projected = net.project(frames.hidden.double(), frames.lengths)
                found |= zip(frames.ids, net.logits(projected.unsqueeze(1)).tolist(), strict=True)
        return challenge.set_index("unit_id")["id"].map(found)
