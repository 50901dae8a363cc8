"""Basic similarity attacks: within utterances and within speakers."""

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Attack, Evidence, layer_suffix
from lightning_mia.attacks.classifiers.speaker_features import unit_vectors
from lightning_mia.utilities.ranges import Layer, check_ranges


class SimilarityAttack(Attack):
    """Base class of Tseng, Kao and Lee's basic attacks.

    Two-sided: on models trained under controlled conditions, the effect often has the opposite of the published sign.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
    """

    access = "black-box"
    two_sided = True
    reference = "Tseng, Kao and Lee (2022), section 3.2, basic attack"

    def __init__(self, layer: Layer = -1) -> None:
        self.layer = layer
        check_ranges(SimilarityAttack.__init__, vars(self), f"{type(self).__name__}.")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The layer unless it is the last."""
        return (layer_suffix(self.layer),)


class UtteranceSimilarity(SimilarityAttack):
    """Mean cosine dissimilarity between the frames of an utterance.

    Score: mean of 1 − cos(h_i, h_j) over all pairs i < j of frames.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_shadows=0, effect=-2.0, columns=["pairwise_cosine_layer0"])
        >>> audit.auroc(UtteranceSimilarity(layer=0).score(audit.evidence))
        0.79
    """

    base_name = "utterance_similarity"
    levels = ("utterance",)

    def score(self, evidence: Evidence) -> pd.Series:
        """Return one minus the mean cosine of every utterance."""
        ids = evidence.challenge.set_index("unit_id")["id"]
        return 1 - ids.map(evidence.target.pairwise_cosine(self.layer))


class SpeakerSimilarity(SimilarityAttack):
    """Mean cosine similarity between the mean-pooled utterances of a speaker.

    Score: mean of cos(v_i, v_j) over all pairs i < j of utterances.

    Args:
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.

    Example:
        >>> from lightning_mia.signals.table import Signals
        >>> pooled = np.array([[[1.0, 0.0]], [[2.0, 0.0]], [[0.0, 1.0]], [[1.0, 0.0]]])
        >>> challenge = pd.DataFrame({"id": list("abcd"), "unit_id": list("sstt"), "speaker": list("sstt")})
        >>> evidence = Evidence(Signals(pd.DataFrame(index=list("abcd")), pooled), challenge)
        >>> SpeakerSimilarity().score(evidence).to_dict()
        {'s': 1.0, 't': 0.0}
    """

    base_name = "speaker_similarity"
    levels = ("speaker",)

    def score(self, evidence: Evidence) -> pd.Series:
        """Return the mean pairwise cosine of every speaker's pooled utterances."""
        pooled = evidence.target.pooled_layer(self.layer).loc[evidence.challenge["id"]]
        return pooled.groupby(evidence.challenge["unit_id"].to_numpy()).apply(_mean_pairwise_cosine)


def _mean_pairwise_cosine(vectors: pd.DataFrame) -> float:
    """Average the cosine over all pairs of rows, (n, dim).

    Closed form, as in `lightning_mia.signals.features.cosine`.
    """
    unit = unit_vectors(vectors.to_numpy())
    n = len(unit)
    return float((np.square(unit.sum(0)).sum() - np.square(unit).sum()) / (n * (n - 1)))
