"""Evaluation and report of a table of signals."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from lightning_mia.attacks.attack_r import AttackR
from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.bavaria import BaVarIA
from lightning_mia.attacks.calibrated_loss import CalibratedLoss
from lightning_mia.attacks.lira import LiRA
from lightning_mia.attacks.midpoint import MidPoint
from lightning_mia.attacks.rmia import RMIA
from lightning_mia.attacks.shadow_models.signal_attack import SignalAttack
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix
from lightning_mia.audit.breakdown import add_breakdown
from lightning_mia.audit.outcome import infer_datasets
from lightning_mia.audit.provenance import summarise_split
from lightning_mia.audit.score_evaluation import array_split
from lightning_mia.audit.signals_csv import SignalsTable
from lightning_mia.evaluation import Context, EvaluationSettings, Scores, evaluate_scores, give_verdict
from lightning_mia.evaluation.scores import Access
from lightning_mia.report import AuditReport, Provenance, write_report
from lightning_mia.splits import Split
from lightning_mia.utilities.credentials import without_credentials
from lightning_mia.utilities.environment import hardware, versions
from lightning_mia.utilities.files import hash_of_file
from lightning_mia.utilities.run_lock import locked
from lightning_mia.utilities.stage import Stage

SIGNAL = "signal"
"""Name of the attack that takes the column `target` as it is."""

REDRAWS = (
    "P-values exchange the labels of groups with one label between these groups, and those of other units within their "
    "group."
)


def report_table(
    table: SignalsTable,
    path: Path,
    folder: Path,
    drawn: bool,
    access: Access,
    evaluation: EvaluationSettings,
    command: str,
) -> Path:
    """Evaluate a table of signals, and write the report.

    Args:
        table: signals.
        path: file of the table.
        folder: folder of the report.
        drawn: members were drawn at random from the evaluated units.
        access: access to the model that the signal needs.
        evaluation: evaluation of the scores.
        command: command line, for the report.

    Returns:
        The report's page.

    Raises:
        InputError: the folder holds the report of another table.
    """
    split = replace(array_split(table.members, table.groups, table.ids), drawn=drawn)
    scored = score_table(table, split, access)
    with locked(folder):
        split.save_once(folder / "split.csv")
        Stage(folder / "evaluate", {"signals": hash_of_file(path), "drawn": drawn, "access": access}).begin()
        return write_report(folder / "report", add_breakdown(_report(table, split, scored, evaluation, command, path)))


@dataclass(frozen=True)
class ScoredTable:
    """Scores of a table's units.

    Attributes:
        scores: of the signal itself and of the attacks with shadow models.
        n_shadows: shadow models that each of them uses.
        notes: attacks that were left out, a sentence each.
    """

    scores: tuple[Scores, ...]
    n_shadows: tuple[int, ...]
    notes: tuple[str, ...]


def score_table(table: SignalsTable, split: Split, access: Access) -> ScoredTable:
    """Score the units of a table with every attack that can run.

    Args:
        table: signals.
        split: members and non-members.
        access: access to the model that the signal needs.
    """
    ids, speakers = split.table["id"].to_numpy(str), split.table["speaker"].to_numpy(str)
    values, notes = {SIGNAL: table.target}, []
    if len(table.shadows):
        matrix = table.matrix()
        for attack in attacks_for(matrix):
            try:
                values[attack.name] = attack.compare(matrix)
            except CannotRun as error:
                notes.append(f"The attack {attack.name} was left out: {error}.")
    scores = tuple(
        Scores(name, "utterance", access, False, ids, speakers, table.members, numbers)
        for name, numbers in values.items()
    )
    n_shadows = tuple(0 if score.name == SIGNAL else len(table.shadows) for score in scores)
    return ScoredTable(scores, n_shadows, tuple(notes))


def attacks_for(matrix: SignalMatrix) -> Sequence[SignalAttack]:
    """List the attacks with shadow models, online if all units have IN models."""
    online = bool(matrix.members.any(axis=0).all())
    either = [kind(online=online) for kind in (LiRA, RMIA, BaVarIA, MidPoint)]
    return [*either, CalibratedLoss(), AttackR()]


def _report(
    table: SignalsTable, split: Split, scored: ScoredTable, settings: EvaluationSettings, command: str, path: Path
) -> AuditReport:
    contexts = {
        score.key: Context(n_shadows=n_shadows)
        for score, n_shadows in zip(scored.scores, scored.n_shadows, strict=True)
    }
    results = tuple(evaluate_scores(scored.scores, split.redraw, settings, contexts, progress=True))
    return AuditReport(
        target=None,
        split=replace(summarise_split(split), drawn_by_user=split.drawn, n_strata=None),
        verdict=give_verdict(results, [], drawn=split.drawn),
        attacks=results,
        controls=(),
        scores=scored.scores,
        provenance=Provenance(
            command=without_credentials(command),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            settings=asdict(settings),
            seeds={"evaluation": settings.seed},
            hashes={"split": split.sha256, "signals": hash_of_file(path)},
            versions=versions(),
            hardware=hardware(),
        ),
        notes=(
            f"Signals were read from a table of {len(table.ids)} units; no model was probed. {REDRAWS}",
            *scored.notes,
        ),
        dataset_inference=infer_datasets(results, scored.scores, split, settings),
    )
