"""The paper's basic speaker-level attack: how alike a speaker's utterances are to the model."""

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Attack, Evidence, layer_suffix


class SpeakerSimilarity(Attack):
    """Mean cosine similarity between the mean-pooled utterances of a speaker.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
    """

    access = "black-box"
    levels = ("speaker",)
    two_sided = True
    reference = "Tseng, Kao and Lee (2022), section 3.2, basic attack"

    def __init__(self, layer: int = -1) -> None:
        self.layer = layer

    @property
    def name(self) -> str:
        """`speaker_similarity`, with the layer where it is not the last."""
        return "speaker_similarity" + layer_suffix(self.layer)

    def score(self, evidence: Evidence) -> pd.Series:
        """Mean pairwise cosine of every speaker's pooled utterances."""
        pooled = evidence.target.pooled_layer(self.layer).loc[evidence.challenge["id"]]
        return pooled.groupby(evidence.challenge["unit_id"].to_numpy()).apply(_mean_pairwise_cosine)


def _mean_pairwise_cosine(vectors: pd.DataFrame) -> float:
    """The closed form of `lightning_mia.signals.features.cosine`, for one set: `(n, dim)` → mean over its pairs."""
    x = vectors.to_numpy()
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    n = len(unit)
    return float((np.square(unit.sum(0)).sum() - np.square(unit).sum()) / (n * (n - 1)))


class UtteranceSimilarity(Attack):
    """Mean pairwise cosine dissimilarity, 1 − cos, between the frames of an utterance.

    Under control it often moves against the published direction, so it is tested two-sided.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
    """

    access = "black-box"
    levels = ("utterance",)
    two_sided = True
    reference = "Tseng, Kao and Lee (2022), section 3.2, basic attack"

    def __init__(self, layer: int = -1) -> None:
        self.layer = layer

    @property
    def name(self) -> str:
        """`utterance_similarity`, with the layer where it is not the last."""
        return "utterance_similarity" + layer_suffix(self.layer)

    def score(self, evidence: Evidence) -> pd.Series:
        """One minus the mean cosine of every utterance."""
        ids = evidence.challenge.set_index("unit_id")["id"]
        return 1 - ids.map(evidence.target.pairwise_cosine(self.layer))
