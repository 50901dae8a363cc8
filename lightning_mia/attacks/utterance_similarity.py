"""The paper's basic utterance-level attack: how unlike each other the frames of an utterance are."""

import pandas as pd

from lightning_mia.attacks.base import Attack, Evidence, layer_suffix


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
