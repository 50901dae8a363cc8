"""Rows and notes of the utility section."""

from dataclasses import dataclass

from lightning_mia.evaluation.utility import ProbeAccuracy, Utility
from lightning_mia.report.content.numbers import count, decimal, interval


@dataclass(frozen=True)
class UtilityRow:
    """One measure of target and untrained model, as text."""

    measure: str
    target: str
    untrained: str


def utility_rows(utility: Utility | None) -> tuple[UtilityRow, ...]:
    """Return the measures that are known."""
    rows = []
    if utility and utility.target:
        measure = f"linear probe for the {utility.probe}, accuracy (chance {decimal(utility.chance)})"
        rows.append(UtilityRow(measure, _accuracy(utility.target), _accuracy(utility.untrained)))
    if utility and utility.pretext is not None:
        masks = f", mask probability {utility.mask_probability:g}" if utility.mask_probability is not None else ""
        measure = f"pretext score{masks} (higher is better)"
        rows.append(UtilityRow(measure, decimal(utility.pretext), decimal(utility.pretext_untrained)))
    return tuple(rows)


def utility_note(utility: Utility | None) -> str:
    """Describe the recordings and the probe."""
    if utility is None:
        return ""
    recordings = (
        f"Measured on {count(utility.n_recordings)} recordings of {count(utility.n_speakers)} speakers, none of them a "
        "member."
    )
    if utility.probe == "none":
        return recordings
    task = {
        "keyword": f"{count(utility.n_classes)} keywords, evaluated on speakers that it was not fitted on",
        "speaker": f"{count(utility.n_classes)} speakers, evaluated on recordings that it was not fitted on",
    }[utility.probe]
    return (
        f"{recordings} The probe is a logistic regression on mean-pooled hidden states that classifies {task}; layer "
        "and regularisation are chosen within the training folds. Intervals are over speakers."
    )


def _accuracy(probe: ProbeAccuracy | None) -> str:
    return f"{decimal(probe.accuracy)} {interval(probe.accuracy_ci95)}" if probe else decimal(None)
