"""The loss attack on speech recognition: a model knows the transcripts better that it was fine-tuned on."""

import pandas as pd

from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.models.outputs import PRETEXT_SCORE


class CTCLoss(Attack):
    """CTC score of the transcript, by the loss per character; at speaker level, the mean over the recordings.

    Needs the transcript and the probabilities that the model gives its characters (grey-box). The loss is taken
    per character, so that long transcripts, whose loss is higher for members and others alike, are not taken for
    others.
    """

    access = "grey-box"
    levels = ("utterance", "speaker")
    reference = "Yeom et al. (2018), section 3.2, with the loss of Graves et al. (2006)"
    needs_signal = "ctc_score"

    @property
    def name(self) -> str:
        """`ctc_loss`."""
        return "ctc_loss"

    def score(self, evidence: Evidence) -> pd.Series:
        """Log-odds of every unit, higher = the transcript is known better."""
        scores = evidence.challenge["id"].map(evidence.target.task_score(self.needs_signal))
        return scores.groupby(evidence.challenge["unit_id"].to_numpy(), sort=False).mean()


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
