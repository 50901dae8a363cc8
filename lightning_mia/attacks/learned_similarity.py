"""The paper's improved speaker-level attack: a learned similarity between the utterances of a speaker."""

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


class SpeakerNet(SimilarityNet):
    """Attention pooling → linear → dropout, and the dot product of two utterances."""

    def logits(self, projected: Tensor) -> Tensor:
        """See `SimilarityNet.logits`; (examples, 2, dim) → (examples,)."""
        one, other = self.dropout(projected).unbind(1)
        return (one * other).sum(-1)


class LearnedSpeakerSimilarity(LearnedAttack):
    """A net that is fitted on the auxiliary speakers whose utterances are the most and the least alike.

    The basic score (mean cosine of a speaker's mean-pooled utterances) ranks the auxiliary speakers: the k highest are
    taken for members, the k lowest for non-members, and the next k on each side validate. The net learns whether two
    utterances come from a speaker of the one kind or the other; the score of a challenge speaker is the mean over all
    pairs of its utterances. No auxiliary speaker is ever judged.

    Taken from the paper: the labels, the net, its dropout, loss, optimizer and epochs; from the authors' code, where
    the paper is silent: a linear layer as wide as the frames, batches of 32 pairs, patience, the best weights by
    validation loss. Different: padding is masked (see `AttentionPooling`); n utterances give n − 1 pairs an epoch, as
    there, but of neighbours in a fresh random order and not in the order of a chapter's files; a speaker is scored over
    all pairs, not over neighbours; and the auxiliary recordings are not those that are judged.

    With `paper_protocol` they are: the net is fitted on the non-members of the challenge set, as in the paper. Its
    scores then depend on the labels, while the redraws behind a p-value take scores that do not: that p-value means
    nothing, whatever it says. The attack stands among the controls and never carries a verdict.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
        k: speakers a side that are labelled, and as many that validate; at most a quarter of the auxiliary ones.
        fit: how the net is fitted.
        paper_protocol: whether it is fitted on the very non-members that it judges.
    """

    levels = ("speaker",)
    plain_name = "learned_speaker_similarity"
    unit, units = "speaker", "auxiliary speakers of at least two recordings"
    least_units = 4  # one of each label in training, and in validation

    def __init__(
        self, layer: int = -1, k: int = 1, fit: FitSettings = FitSettings(), paper_protocol: bool = False
    ) -> None:
        super().__init__(layer, k, fit, paper_protocol)

    def _net(self, dim: int) -> SpeakerNet:
        return SpeakerNet(dim, self.fit.dropout, self.fit.learning_rate)

    def _basic_scores(self, source: FrameSource, auxiliary: pd.DataFrame) -> pd.Series:
        pooled: dict[str, Tensor] = {}
        for frames in source.stream(list(auxiliary["id"]), "Ranking auxiliary speakers"):
            pooled |= zip(frames.ids, mean_pool(frames.hidden, frames.lengths).cpu(), strict=True)
        sets = _by_unit(pooled, auxiliary["id"], auxiliary["speaker"])
        lengths = {speaker: torch.tensor([len(vectors)]) for speaker, vectors in sets.items()}
        return pd.Series({own: mean_pairwise_cosine(sets[own][None], lengths[own]).item() for own in sets}, dtype=float)

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
        sets = _by_unit(projected, challenge["id"], challenge["unit_id"])
        return pd.Series({unit: mean_pairwise_product(vectors) for unit, vectors in sets.items()}, dtype=float)


def mean_pairwise_product(vectors: Tensor) -> float:
    """Mean dot product over all pairs of distinct vectors, (n, dim) → a number, in closed form.

    >>> mean_pairwise_product(torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]]))  # products 3, 0, 0
    1.0
    """
    n = len(vectors)
    return ((vectors.sum(0).square().sum() - vectors.square().sum()) / (n * (n - 1))).item()


def _by_unit(vectors: Mapping[str, Tensor], ids: pd.Series, units: pd.Series) -> dict[str, Tensor]:
    """The vectors of every unit's recordings, (n, dim) each, in the order of ids."""
    names = pd.Series(ids.to_numpy(), index=units.to_numpy()).sort_values(kind="stable")
    return {str(unit): torch.stack([vectors[name] for name in own]) for unit, own in names.groupby(level=0)}


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
