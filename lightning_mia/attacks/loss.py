"""Loss attacks: pretext loss and CTC loss."""

import pandas as pd

from lightning_mia.attacks.base import Attack, Evidence, unit_means
from lightning_mia.models.ctc import CTC_SCORE
from lightning_mia.models.outputs import PRETEXT_SCORE


class PretextLoss(Attack):
    """Loss attack on the pretext task.

    Score: mean pretext score over masks (log-odds; TERA: −log L1), and over a speaker's recordings at speaker level.

    Requires the pretext head (grey-box), but no shadow models: Yeom et al. compare the loss with a threshold.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_shadows=0, effect=2.0)
        >>> audit.auroc(PretextLoss().score(audit.evidence))
        0.72
    """

    base_name = "pretext_loss"
    access = "grey-box"
    levels = ("utterance", "speaker")
    needs_signal = PRETEXT_SCORE
    reference = "Yeom et al. (2018), section 3.2"

    def score(self, evidence: Evidence) -> pd.Series:
        """Return the pretext score of every unit, higher = solved better."""
        return unit_means(evidence.target.pretext_score(), evidence.challenge)


class CTCLoss(Attack):
    """Loss attack on fine-tuned speech recognition models.

    Score: log(p / (1 − p)) with p = exp(−CTC loss per character), averaged over a speaker's recordings at speaker
    level.

    Requires the transcript and the model's character probabilities (grey-box). The loss is taken per character because
    the total loss grows with the length of the transcript for members and non-members.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_shadows=0, effect=2.0, columns=["ctc_score"])
        >>> audit.auroc(CTCLoss().score(audit.evidence))
        0.72
    """

    base_name = "ctc_loss"
    access = "grey-box"
    levels = ("utterance", "speaker")
    needs_signal = CTC_SCORE
    reference = "Yeom et al. (2018), section 3.2, with the loss of Graves et al. (2006)"

    def score(self, evidence: Evidence) -> pd.Series:
        """Return the CTC score of every unit, higher = lower loss."""
        return unit_means(evidence.target.task_score(CTC_SCORE), evidence.challenge)
