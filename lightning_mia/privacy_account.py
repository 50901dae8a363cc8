"""The privacy of a training: what proves it from above, beside what the attacks show from below."""

from typing import Any

from lightning_mia.evaluation.privacy import Privacy, strongest_lower_bound
from lightning_mia.judgement import Judgement
from lightning_mia.training.per_example import describe
from lightning_mia.training.train import Trained


def privacy_of(target: Trained, judgement: Judgement, delta: float) -> Privacy:
    """Both bounds on ε, for one recording more or less.

    Args:
        target: the model that was trained.
        judgement: of the attacks; those on single recordings count.
        delta: at which the lower bound is given where the training proves none.
    """
    proved: dict[str, Any] = target.record.get("privacy") or {}
    delta = proved.get("delta", delta)
    scores = [one for one in judgement.scores if one.level == "utterance" and one.access != "none"]
    shown, by = strongest_lower_bound(scores, delta) if scores else (None, "")
    return Privacy(
        delta=delta,
        epsilon=proved.get("epsilon"),
        epsilon_shown=shown,
        shown_by=by if shown else "",
        clip_norm=proved.get("clip_norm"),
        noise_multiplier=proved.get("noise_multiplier"),
    )


def privacy_notes(target: Trained, privacy: Privacy | None) -> list[str]:
    """Both bounds of a training on clipped gradients, a sentence each; nothing for any other training."""
    proved = target.record.get("privacy")
    if proved is None or privacy is None:
        return []
    if privacy.epsilon_shown is None:
        return [describe(proved)]
    shown = (
        f"{privacy.shown_by} shows that ε ≥ {privacy.epsilon_shown:.2g}"
        if privacy.epsilon_shown
        else "no attack shows that ε is above 0"
    )
    return [
        describe(proved),
        f"Beside that bound from above, {shown} (95 %, log((TPR − δ) / FPR), all attacks counted).",
    ]
