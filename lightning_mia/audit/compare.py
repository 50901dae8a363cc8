"""Compare the attacks of finished runs."""

from collections.abc import Sequence
from pathlib import Path

from lightning_mia.evaluation.paired import paired_difference, same_challenge
from lightning_mia.evaluation.results import AttackResult, LevelVerdict
from lightning_mia.evaluation.scores import FAMILIES, Family
from lightning_mia.evaluation.verdict import strength
from lightning_mia.report.comparison.comparison import (
    AurocDifference,
    ComparedAttack,
    ComparedGroup,
    ComparedRun,
    Comparison,
)
from lightning_mia.report.write import load_run
from lightning_mia.utilities.errors import InputError


def compare_runs(folders: Sequence[str | Path]) -> Comparison:
    """Read runs and compare their attacks.

    Raises:
        InputError: fewer than two runs, a run given twice, or a folder without a readable report.
    """
    if len(folders) < 2:
        raise InputError(f"compare needs two or more run directories, but was given {len(folders)}")
    paths = [Path(folder).resolve() for folder in folders]
    if repeated := [str(folder) for folder, path in zip(folders, paths, strict=True) if paths.count(path) > 1]:
        raise InputError(f"{repeated[0]} was given more than once; list each run directory once")
    reports = [load_run(folder) for folder in folders]
    split = reports[0].split.sha256
    labels = short_labels(paths)
    runs = [
        ComparedRun(label, report, report.split.sha256 == split) for label, report in zip(labels, reports, strict=True)
    ]
    return Comparison(tuple(runs), tuple(_groups(runs)))


def short_labels(paths: Sequence[Path]) -> list[str]:
    """Return the shortest unique ends of the paths.

    >>> short_labels([Path("/a/x/run"), Path("/a/y/run")])
    ['x/run', 'y/run']
    """
    for n_parts in range(1, max(len(path.parts) for path in paths) + 1):
        labels = ["/".join(path.parts[-n_parts:]) for path in paths]
        if len(set(labels)) == len(labels):
            return labels
    return [str(path) for path in paths]


def _groups(runs: Sequence[ComparedRun]) -> list[ComparedGroup]:
    groups = []
    for family in FAMILIES:
        if names := _attack_names(runs, family):
            attacks = tuple(_compared_attack(runs, name, family.level) for name in names)
            groups.append(ComparedGroup(family, tuple(_verdict(run, family) for run in runs), attacks))
    return groups


def _attack_names(runs: Sequence[ComparedRun], family: Family) -> list[str]:
    """List all attacks, strongest first; without access, the blind baseline."""
    strengths: dict[str, float] = {}
    for run in runs:
        for result in run.report.attacks if family.access != "none" else run.report.controls:
            if result.family == family and (family.access != "none" or result.name == "blind"):
                strengths.setdefault(result.name, strength(result))
    return sorted(strengths, key=lambda name: -strengths[name])


def _compared_attack(runs: Sequence[ComparedRun], name: str, level: str) -> ComparedAttack:
    results = [run.report.result(name, level) for run in runs]
    differences = [
        _difference(runs[0], results[0], run, result) if results[0] and result else None
        for run, result in zip(runs[1:], results[1:], strict=True)
    ]
    return ComparedAttack(name, tuple(results), tuple(differences))


def _difference(
    first: ComparedRun, first_result: AttackResult, other: ComparedRun, other_result: AttackResult
) -> AurocDifference:
    paired = None
    if other.paired:
        first_scores, other_scores = first.report.scores_of(first_result), other.report.scores_of(other_result)
        if same_challenge(first_scores, other_scores):
            paired = paired_difference(first_scores, other_scores)
    return AurocDifference(other_result.auroc - first_result.auroc, paired)


def _verdict(run: ComparedRun, family: Family) -> LevelVerdict | None:
    verdicts = run.report.verdict.by_level_and_access
    return next((verdict for verdict in verdicts if verdict.family == family), None)
