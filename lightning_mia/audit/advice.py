"""Advice on models trained elsewhere: what would make another audit say more."""

from collections.abc import Sequence

from lightning_mia.attacks import Attack
from lightning_mia.evaluation.results import Exposure, Status
from lightning_mia.report import Advice
from lightning_mia.splits import Split
from lightning_mia.training.train import Trained

POSITIVE_CONTROL = (
    'No positive control was run, so it is not known whether these attacks would find training data of this model: "no '
    'evidence" may mean that they cannot.'
)


def positive_control_advice(
    target: Trained, status: Status, exposures: Sequence[Exposure], command: str
) -> tuple[Advice, ...]:
    """Advise a positive control, where "no evidence" lacks one.

    Args:
        target: the target; one that was trained in this run needs none.
        status: of the overall verdict.
        exposures: of the positive control.
        command: the user's command; empty: the audit was started from Python.
    """
    if "steps" in target.record or status != "no_evidence" or exposures or not target.model.can_pretrain:
        return ()
    what = "This command" if command else "AuditOptions(positive_control=True)"
    text = (
        f"{POSITIVE_CONTROL} {what} trains it further on recordings that it is not known to have seen, and reports "
        "from how many epochs on each attack finds them."
    )
    return (Advice(text, f"{command} --positive_control" if command else ""),)


def auxiliary_advice(missing: Sequence[Attack], split: Split, needed: int) -> tuple[Advice, ...]:
    """Say which attacks a few auxiliary recordings would add.

    Args:
        missing: default attacks that only lack auxiliary recordings.
        split: the split, with its auxiliary recordings.
        needed: number of auxiliary recordings with which all of them run.
    """
    if not missing:
        return ()
    n_auxiliary = len(split.auxiliary_ids())
    how = "lightning-mia split --n_auxiliary" if split.drawn else "rows of the manifest with an empty `member`"
    return (
        Advice(
            f"With {needed} or more auxiliary recordings, which no model was trained on ({how}), instead of "
            f"{n_auxiliary or 'none'}, {', '.join(attack.name for attack in missing)} could run too, the attacks that "
            "find most without shadow models."
        ),
    )
