"""What a target is good for, in the words of page and Markdown."""

from dataclasses import dataclass

from lightning_mia.evaluation.utility import ProbeAccuracy, Utility
from lightning_mia.report.content.numbers import count, decimal, interval


@dataclass(frozen=True)
class UtilityRow:
    """One figure of a target, beside that of the same model untrained, as text."""

    what: str
    target: str
    untrained: str


def utility_rows(utility: Utility) -> tuple[UtilityRow, ...]:
    """The figures that are known."""
    rows = []
    if utility.target:
        what = f"linear probe for the {utility.probe}, accuracy (chance {decimal(utility.chance)})"
        rows.append(UtilityRow(what, _accuracy(utility.target), _accuracy(utility.untrained)))
    if utility.pretext is not None:
        masks = f" under masks of {utility.mask_probability:g}" if utility.mask_probability is not None else ""
        what = f"pretext score{masks} (higher is better)"
        rows.append(UtilityRow(what, decimal(utility.pretext), decimal(utility.pretext_untrained)))
    return tuple(rows)


def utility_note(utility: Utility) -> str:
    """By what recordings, and how."""
    told = (
        f"Measured on {count(utility.n_recordings)} recordings of {count(utility.n_speakers)} speakers, none of them a "
        "member's."
    )
    if utility.probe == "none":
        return told
    new = {
        "keyword": f"tells {count(utility.n_classes)} keywords, said by speakers whom it was not fitted on",
        "speaker": f"tells {count(utility.n_classes)} speakers, by recordings that it was not fitted on",
    }
    return (
        f"{told} The probe is logistic regression on mean-pooled hidden states and {new[utility.probe]}; layer and "
        "regularisation are chosen within the training folds. Intervals over speakers."
    )


def _accuracy(found: ProbeAccuracy | None) -> str:
    return f"{decimal(found.accuracy)} {interval(found.accuracy_ci95)}" if found else decimal(None)
