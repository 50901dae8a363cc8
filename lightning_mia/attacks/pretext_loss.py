"""The loss attack: a model solves its own pretext task better on what it was trained on."""

import pandas as pd

from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.models.base import PRETEXT_SCORE


class PretextLoss(Attack):
    """Mean pretext score over masks; at speaker level, over the speaker's recordings too.

    Needs the pretext head (grey-box). Without shadow models this is the loss threshold of Yeom et al.
    """

    access = "grey-box"
    levels = ("utterance", "speaker")
    needs_signal = PRETEXT_SCORE
    reference = "Yeom et al. (2018), section 3.2"

    @property
    def name(self) -> str:
        """`pretext_loss`."""
        return "pretext_loss"

    def score(self, evidence: Evidence) -> pd.Series:
        """Log-odds (TERA: −log L1) of every unit, higher = solved better."""
        scores = evidence.challenge["id"].map(evidence.target.pretext_score())
        return scores.groupby(evidence.challenge["unit_id"].to_numpy(), sort=False).mean()
