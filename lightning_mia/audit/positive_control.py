"""The positive control: would these attacks find recordings that this model has certainly been trained on?

A checkpoint that comes from elsewhere is trained on, by its own pretext task, on a random half of recordings that
it is not said to have seen, and the attacks are run against the other half. "No evidence" says little until they
find something at some exposure.
"""

import logging
from pathlib import Path

import pandas as pd
from lightning.pytorch.utilities import rank_zero_only

from lightning_mia.audit.audit import Audit
from lightning_mia.audit.settings import PositiveControlSettings
from lightning_mia.evaluation import AttackResult, evaluate
from lightning_mia.evaluation.verdict import separates
from lightning_mia.report.audit_report import Exposure
from lightning_mia.splits import Design, SpeakerDesign, Split, UtteranceDesign
from lightning_mia.training.train import Trained
from lightning_mia.utilities.errors import InputError

log = logging.getLogger(__name__)

FOLDER = "positive_control"


def positive_control(audit: Audit, target: Trained, settings: PositiveControlSettings) -> tuple[Exposure, ...]:
    """Train on, at several exposures, and attack each time.

    Args:
        audit: the audit whose target is asked about; its corpus is loaded.
        target: the model that is trained on.
        settings: exposures and size.

    Returns:
        What the attacks find at each exposure, first of all on the model as it is.

    Raises:
        InputError: too few recordings that the target is not said to have seen.
    """
    inner = _inner_audit(audit, settings)
    inner.data.split.save_once(inner.run_dir / "split.csv")
    exposures = []
    for times in (0, *sorted(set(settings.exposures))):
        name = f"exposure_{times:03d}"
        trained = inner.train(name, inner.data.split.training_ids(), times, start=target) if times else target
        results = _attack(inner, name, trained)
        if results is None:  # not the first process
            return ()
        exposures.append(Exposure(times, float(trained.record.get("seconds", 0.0)) if times else 0.0, results))
    return tuple(exposures)


def _attack(audit: Audit, name: str, trained: Trained) -> tuple[AttackResult, ...] | None:
    asked = audit.ask({name: trained})[name]
    if getattr(rank_zero_only, "rank", 0):
        return None
    split = audit.data.split
    scores = [
        score
        for level in split.levels
        for part in split.parts(level)
        for score in asked.scored(audit.attacks_to_run(), split, level, part).scores
        if score.access != "none"
    ]
    return tuple(evaluate(scores, split.redraw, audit.evaluation))


def _inner_audit(audit: Audit, settings: PositiveControlSettings) -> Audit:
    """The same audit of a split that is drawn from recordings that the target is not said to have seen."""
    split = audit.data.split
    unseen = split.table[split.table["role"].isin(["nonmember", "auxiliary"])]
    table = pd.DataFrame({"id": unseen["id"], "speaker": unseen["speaker"]})
    try:
        drawn = _design(split, settings).draw(table, audit.data.audio.contents, seed=settings.seed)
    except InputError as error:
        raise InputError(
            f"The positive control needs recordings that the target has not seen (member 0 or empty): {error}"
        ) from error
    data = audit.data.with_split(drawn)
    run_dir = Path(audit.run_dir) / FOLDER
    return Audit(
        run_dir,
        audit.model,
        data,
        audit.trainers,
        attacks=audit.attacks,
        probing=audit.probing,
        evaluation=audit.evaluation,
    )


def _design(split: Split, settings: PositiveControlSettings) -> Design:
    if split.level == "speaker":
        return SpeakerDesign(n_units=settings.n_units, n_auxiliary=0)
    return UtteranceDesign(n_units=settings.n_units, n_auxiliary=0)


def what_it_says(exposures: tuple[Exposure, ...]) -> str:
    """The positive control in a sentence, for the report."""
    found, missed = [], []
    for name, level in dict.fromkeys((one.name, one.level) for one in exposures[-1].results):
        first = _first_found(exposures, name, level)
        if first is None:
            missed.append(f"{name} at {level} level")
        else:
            found.append(f"{name} at {level} level from {first} on")
    told = "Positive control, exposures from which an attack finds what the model was trained on: "
    told += "; ".join(found) if found else "none"
    if missed:
        told += (
            f". Not even at {exposures[-1].times} was it found by {', '.join(missed)}: that finds no evidence says "
            "little about this model"
        )
    return f"{told}."


def _first_found(exposures: tuple[Exposure, ...], name: str, level: str) -> int | None:
    """The smallest exposure from which on an attack separates the halves."""
    first = None
    for exposure in reversed(exposures):
        of_attack = [one for one in exposure.results if (one.name, one.level) == (name, level)]
        if exposure.times == 0 or not of_attack or not separates(of_attack[0]):
            break
        first = exposure.times
    return first
