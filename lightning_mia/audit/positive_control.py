"""Positive control: can the attacks detect known training data?

Pretext training of the target continues on a random half of recordings that it is not known to have seen, and the
attacks compare the two halves. "No evidence" means little unless they detect the trained half at some exposure.
"""

from pathlib import Path

import pandas as pd

from lightning_mia.attacks import default_attacks
from lightning_mia.audit.audit import Audit
from lightning_mia.audit.audit_run import AuditRun
from lightning_mia.audit.options import AuditOptions
from lightning_mia.audit.settings import PositiveControlSettings
from lightning_mia.evaluation import AttackResult, Exposure, evaluate_scores
from lightning_mia.evaluation.verdict import separates
from lightning_mia.splits import Design, SpeakerDesign, Split, UtteranceDesign
from lightning_mia.training.exposures import exposure_obstacle, unexposed
from lightning_mia.training.train import Trained
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.lightning import is_first_process

FOLDER = "positive_control"


def positive_control(audit: Audit, target: Trained) -> tuple[Exposure, ...]:
    """Continue training at several exposures, and attack each model.

    Args:
        audit: audit of the target; its options give exposures and size.
        target: the model to continue training.

    Returns:
        Results at each exposure, starting with 0, the unchanged target; empty on all processes but the first.

    Raises:
        InputError: too few recordings that the target is not known to have seen, a model that cannot be trained
            further, no attack that can run on it, or a training that ends before it has used its recordings.
    """
    if not target.model.can_pretrain:
        raise InputError(
            "The positive control continues the pretext training of the target, but this model is a bare encoder "
            "without a pretext task; leave out --positive_control, or give a checkpoint with its pretext heads"
        )
    settings = audit.options.exposure
    inner = _inner_audit(audit, settings)
    run = inner.run
    run.save_split()
    exposures = []
    for times in (0, *sorted(set(settings.exposures))):
        name = f"exposure_{times:03d}"
        trained = run.train(name, run.split.training_ids(), times, start=target) if times else target
        if obstacle := exposure_obstacle({name: unexposed(trained, run.split.training_ids())} if times else {}):
            raise InputError(f"The positive control is invalid: {obstacle}; remove what ends its training early")
        results = _attack(inner, name, trained)
        if results is None:  # not the first process
            return ()
        if not results:
            raise InputError(
                "The positive control needs an attack without shadow models that can run on this model; add one to "
                "attacks, such as PretextLoss or UtteranceSimilarity, or leave out --positive_control"
            )
        exposures.append(Exposure(times, float(trained.record.get("seconds", 0.0)) if times else 0.0, results))
    return tuple(exposures)


def _attack(audit: Audit, name: str, trained: Trained) -> tuple[AttackResult, ...] | None:
    probed = audit.probe({name: trained})[name]
    if not is_first_process():
        return None
    split = audit.run.split
    scores = [
        scores
        for level in split.levels
        for part in split.parts(level)
        for scores in probed.scored(audit.attacks, split, level, part).scores
        if scores.access != "none"
    ]
    return tuple(evaluate_scores(scores, split.redraw, audit.options.evaluation)) if scores else ()


def _inner_audit(audit: Audit, settings: PositiveControlSettings) -> Audit:
    """Set up the same attacks on unseen recordings."""
    run, options = audit.run, audit.options
    unseen = run.split.table[run.split.table["role"].isin(["nonmember", "auxiliary"])]
    table = pd.DataFrame({"id": unseen["id"], "speaker": unseen["speaker"]})
    try:
        drawn = _design(run.split, settings).draw(table, run.data.audio.contents, seed=settings.seed)
    except InputError as error:
        raise InputError(
            f"The positive control needs recordings that the target has not seen (member 0 or empty): {error}"
        ) from error
    inner = AuditRun(Path(run.run_dir) / FOLDER, run.model, run.data.with_split(drawn), run.trainers)
    # A bare encoder gets a pretext task by its training, and with it attacks that cannot run on the target.
    attacks = options.attacks or list({attack.name: attack for attack in (*default_attacks(), *audit.attacks)}.values())
    return Audit(inner, AuditOptions(attacks=attacks, probe=audit.probing, evaluation=options.evaluation))


def _design(split: Split, settings: PositiveControlSettings) -> Design:
    if split.level == "speaker":
        return SpeakerDesign(n_units=settings.n_units, n_auxiliary=0)
    return UtteranceDesign(n_units=settings.n_units, n_auxiliary=0)


def positive_control_note(exposures: tuple[Exposure, ...]) -> str:
    """Summarise the positive control in a sentence for the report."""
    detected, missed = [], []
    for name, level in dict.fromkeys((result.name, result.level) for result in exposures[-1].results):
        first = _first_detection(exposures, name, level)
        if first is None:
            missed.append(f"{name} at {level} level")
        else:
            detected.append(f"{name} at {level} level from {first} epochs on")
    note = f"Positive control: training data is detected by {'; '.join(detected) or 'no attack'}"
    if missed:
        note += (
            f'. It is not detected even after {exposures[-1].times} epochs by {", ".join(missed)}: "no evidence" from '
            "these attacks says little about this model"
        )
    return f"{note}."


def _first_detection(exposures: tuple[Exposure, ...], name: str, level: str) -> int | None:
    """Return the exposure from which an attack separates the halves."""
    first = None
    for exposure in reversed(exposures):
        results = [result for result in exposure.results if (result.name, result.level) == (name, level)]
        if exposure.times == 0 or not results or not separates(results[0]):
            break
        first = exposure.times
    return first
