"""Improved similarity attacks: networks fitted on auxiliary recordings."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lightning_mia.attacks.classifiers.fit import FitSettings
from lightning_mia.attacks.frame_networks.attack import LearnedAttack
from lightning_mia.attacks.frame_networks.batches import Example, FrameSource
from lightning_mia.attacks.frame_networks.network import SimilarityNet
from lightning_mia.signals.features.cosine import mean_pairwise_cosine, mean_pool
from lightning_mia.utilities.ranges import Count, Layer

PUBLISHED_FIT = FitSettings()  # the paper's settings


class LearnedUtteranceSimilarity(LearnedAttack):
    """Improved attack of Tseng, Kao and Lee on utterances.

    Score: w · ReLU(W pool(h) + b) + c, the logit of a network on attention-pooled frames h.

    The basic score (mean of 1 − cos over pairs of an utterance's frames) ranks the auxiliary recordings: the k highest
    are labelled members, the k lowest non-members, and the next k at either end are for validation. The network learns
    to separate them; no auxiliary recording is scored. See `LearnedAttack` for deviations from the paper.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
        k: utterances per pseudo-label, and as many for validation; at most a quarter of the auxiliary ones.
        fit: settings of the fit.
        paper_protocol: whether to fit on the non-members of the challenge set, which makes the attack a control.

    Example:
        >>> LearnedUtteranceSimilarity(k=100, fit=FitSettings(learning_rate=1e-3)).name
        'learned_utterance_similarity_lr0.001'
    """

    base_name = "learned_utterance_similarity"
    levels = ("utterance",)
    unit_column, unit_description = "id", "auxiliary utterances with at least two frames"
    min_units = 16  # four of each label in training, and in validation

    def __init__(
        self, layer: Layer = -1, k: Count = 500, fit: FitSettings = PUBLISHED_FIT, paper_protocol: bool = False
    ) -> None:
        super().__init__(layer, k, fit, paper_protocol)

    def _net(self, dim: int) -> SimilarityNet:
        return UtteranceNet(dim, self.fit.dropout, self.fit.learning_rate)

    def _basic_scores(self, source: FrameSource, auxiliary: pd.DataFrame) -> pd.Series:
        scores: dict[str, float] = {}
        for frames in source.stream(list(auxiliary["id"]), "Ranking auxiliary recordings"):
            dissimilarity = 1 - mean_pairwise_cosine(frames.hidden, frames.lengths)
            scores |= zip(frames.ids, dissimilarity.tolist(), strict=True)
        return pd.Series(scores, dtype=float)

    def _examples(self, labelled: pd.DataFrame, labels: pd.Series, generator: np.random.Generator) -> Sequence[Example]:
        return [Example((str(utterance),), label) for utterance, label in labels.items()]

    def _scores(self, net: SimilarityNet, source: FrameSource, challenge: pd.DataFrame) -> pd.Series:
        scores: dict[str, float] = {}
        with torch.inference_mode():
            for frames in source.stream(list(challenge["id"]), f"Scoring {self.name}"):
                projected = net.project(frames.hidden.double(), frames.lengths)
                scores |= zip(frames.ids, net.logits(projected.unsqueeze(1)).tolist(), strict=True)
        return challenge.set_index("unit_id")["id"].map(scores)


class LearnedSpeakerSimilarity(LearnedAttack):
    """Improved attack of Tseng, Kao and Lee on speakers.

    Score: mean of u_i · u_j over all pairs i < j of a speaker's utterances, with the projection u = W pool(h) + b of
    attention-pooled frames h.

    The basic score (mean cosine over pairs of a speaker's mean-pooled utterances) ranks the auxiliary speakers: the k
    highest are labelled members, the k lowest non-members, and the next k at either end are for validation. The network
    learns to predict the label of a speaker from pairs of utterances; no auxiliary speaker is scored.

    Deviations from the paper, besides those of `LearnedAttack`: the n − 1 pairs of n utterances are neighbours in a
    random order, new in every epoch, rather than in the order of a chapter's files; and a speaker is scored over all
    pairs rather than over neighbours.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
        k: speakers per pseudo-label, and as many for validation; at most a quarter of the auxiliary ones.
        fit: settings of the fit.
        paper_protocol: whether to fit on the non-members of the challenge set, which makes the attack a control.

    Example:
        >>> LearnedSpeakerSimilarity(layer=3, paper_protocol=True).name
        'learned_speaker_similarity_layer3_paper_protocol'
    """

    base_name = "learned_speaker_similarity"
    levels = ("speaker",)
    unit_column, unit_description = "speaker", "auxiliary speakers with at least two recordings"
    min_units = 4  # one of each label in training, and in validation

    def __init__(
        self, layer: Layer = -1, k: Count = 1, fit: FitSettings = PUBLISHED_FIT, paper_protocol: bool = False
    ) -> None:
        super().__init__(layer, k, fit, paper_protocol)

    def _net(self, dim: int) -> SimilarityNet:
        return SpeakerNet(dim, self.fit.dropout, self.fit.learning_rate)

    def _basic_scores(self, source: FrameSource, auxiliary: pd.DataFrame) -> pd.Series:
        pooled: dict[str, Tensor] = {}
        for frames in source.stream(list(auxiliary["id"]), "Ranking auxiliary speakers"):
            pooled |= zip(frames.ids, mean_pool(frames.hidden, frames.lengths).cpu(), strict=True)
        speakers = _by_unit(pooled, auxiliary["id"], auxiliary["speaker"])
        scores = {
            speaker: mean_pairwise_cosine(vectors[None], torch.tensor([len(vectors)])).item()
            for speaker, vectors in speakers.items()
        }
        return pd.Series(scores, dtype=float)

    def _examples(self, labelled: pd.DataFrame, labels: pd.Series, generator: np.random.Generator) -> Sequence[Example]:
        examples = []
        for speaker, label in labels.items():
            names = generator.permutation(labelled["id"][labelled["speaker"] == speaker]).tolist()
            examples += [Example(pair, label) for pair in pairwise(names)]
        return examples

    def _scores(self, net: SimilarityNet, source: FrameSource, challenge: pd.DataFrame) -> pd.Series:
        projected: dict[str, Tensor] = {}
        with torch.inference_mode():
            for frames in source.stream(list(challenge["id"]), f"Scoring {self.name}"):
                vectors = net.project(frames.hidden.double(), frames.lengths).cpu()
                projected |= zip(frames.ids, vectors, strict=True)
        units = _by_unit(projected, challenge["id"], challenge["unit_id"])
        return pd.Series({unit: mean_pairwise_product(vectors) for unit, vectors in units.items()}, dtype=float)


class UtteranceNet(SimilarityNet):
    """Attention pooling → linear → dropout → ReLU → linear(1).

    Args:
        dim: dimension of the frames, and of the projection.
        dropout: dropout probability.
        learning_rate: learning rate of Adam.
    """

    def __init__(self, dim: int, dropout: float, learning_rate: float) -> None:
        super().__init__(dim, dropout, learning_rate)
        self.output = nn.Linear(dim, 1)

    def logits(self, projected: Tensor) -> Tensor:
        """Compute logits, (examples, 1, dim) → (examples,)."""
        return self.output(self.dropout(projected[:, 0]).relu()).squeeze(-1)


class SpeakerNet(SimilarityNet):
    """Attention pooling → linear → dropout → dot product."""

    def logits(self, projected: Tensor) -> Tensor:
        """Compute logits, (examples, 2, dim) → (examples,)."""
        first, second = self.dropout(projected).unbind(1)
        return (first * second).sum(-1)


def mean_pairwise_product(vectors: Tensor) -> float:
    """Average the dot product over all pairs of distinct rows.

    Closed form: (|Σ u|² − Σ |u|²) / (n (n − 1)) over the rows u of (n, dim).

    >>> mean_pairwise_product(torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]]))  # products 3, 0, 0
    1.0
    """
    n = len(vectors)
    return ((vectors.sum(0).square().sum() - vectors.square().sum()) / (n * (n - 1))).item()


def _by_unit(vectors: Mapping[str, Tensor], ids: pd.Series, units: pd.Series) -> dict[str, Tensor]:
    """Stack the vectors of every unit, (n, dim) each."""
    sorted_ids = pd.Series(ids.to_numpy(), index=units.to_numpy()).sort_values(kind="stable")
    return {str(unit): torch.stack([vectors[name] for name in names]) for unit, names in sorted_ids.groupby(level=0)}
