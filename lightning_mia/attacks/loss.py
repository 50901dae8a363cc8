"""Loss attacks: pretext loss, CTC loss and token loss."""

import pandas as pd

from lightning_mia.attacks.base import Attack, Evidence, unit_means
from lightning_mia.models.outputs import CTC_SCORE, PRETEXT_SCORE, TOKEN_SCORE


class TaskLoss(Attack):
    """Base class of loss attacks, which differ in the training task."""

    access = "grey-box"
    levels = ("utterance", "speaker")

    def score(self, evidence: Evidence) -> pd.Series:
        """Return every unit's score of the training task, higher = lower loss."""
        return unit_means(evidence.target.task_score(self.needs_signal), evidence.challenge)


class PretextLoss(TaskLoss):
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
    needs_signal = PRETEXT_SCORE
    reference = "Yeom et al. (2018), section 3.2"


class CTCLoss(TaskLoss):
    """Loss attack on fine-tuned speech recognition models.

    Score: log(p / (1 − p)) with p = exp(−CTC loss per character), averaged over a speaker's recordings at speaker
    level.

    Requires the transcript and the model's character probabilities (grey-box). The loss is taken per character because
    the total loss grows with the length of the transcript, regardless of membership.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_shadows=0, effect=2.0, columns=["ctc_score"])
        >>> audit.auroc(CTCLoss().score(audit.evidence))
        0.72
    """

    base_name = "ctc_loss"
    needs_signal = CTC_SCORE
    reference = "Yeom et al. (2018), section 3.2, with the loss of Graves et al. (2006)"


class TokenLoss(TaskLoss):
    """Loss attack on speech recognisers with a decoder, such as Whisper.

    Score: log(p / (1 − p)) with p = exp(−loss per token), where every token of the transcript is predicted from the
    recording and the true tokens before; averaged over a speaker's recordings at speaker level.

    Requires the transcript and the model's token probabilities (grey-box).

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_shadows=0, effect=2.0, columns=["token_score"])
        >>> audit.auroc(TokenLoss().score(audit.evidence))
        0.72
    """

    base_name = "token_loss"
    needs_signal = TOKEN_SCORE
    reference = "Yeom et al. (2018), section 3.2, with the loss of Radford et al. (2022)"
