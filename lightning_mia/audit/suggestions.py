"""What would make another audit of a model from elsewhere say more."""

from collections.abc import Sequence

from lightning_mia.attacks import Attack
from lightning_mia.evaluation.results import Exposure, Status
from lightning_mia.report import Suggestion
from lightning_mia.splits import Split
from lightning_mia.training.train import Trained

POSITIVE_CONTROL = "--positive_control"


def suggest_positive_control(target: Trained, status: Status, exposures: Sequence[Exposure]) -> tuple[Suggestion, ...]:
    """Suggest a positive control where "no evidence" lacks one.

    Args:
        target: the target; one that was trained in this run needs none.
        status: of the overall verdict.
        exposures: of the positive control.
    """
    if "steps" in target.record or status != "no_evidence" or exposures or not target.model.can_pretrain:
        return ()
    text = (
        "No positive control was run, so it is not known whether these attacks would find training data of this model: "
        f'"no evidence" may mean that they cannot. With {POSITIVE_CONTROL}, it is trained further on recordings that '
        "it is not known to have seen, and the report says from how many epochs on each attack finds them."
    )
    return (Suggestion(text, POSITIVE_CONTROL),)


def suggest_auxiliary(missing: Sequence[Attack], split: Split, needed: int) -> tuple[Suggestion, ...]:
    """Say which attacks some auxiliary recordings would add.

    Args:
        missing: default attacks that only lack auxiliary recordings.
        split: the split, with its auxiliary recordings.
        needed: number of auxiliary recordings with which all of them run.
    """
    if not missing:
        return ()
    how = "lightning-mia split --n_auxiliary" if split.drawn else "an empty value in column member"
    names = ", ".join(attack.name for attack in missing)
    return (
        Suggestion(
            f"With {needed} or more auxiliary recordings, which no model was trained on ({how}; here "
            f"{len(split.auxiliary_ids()) or 'none'}), stronger attacks could run: {names}."
        ),
    )
