"""Runs side by side: the same attacks on each, and how far each run lies from the first one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_mia.evaluation.paired import PairedDifference, paired_difference, same_challenge
from lightning_mia.evaluation.results import AttackResult, LevelVerdict
from lightning_mia.evaluation.scores import ACCESSES, LEVELS
from lightning_mia.evaluation.verdict import strength
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.write import load_run
from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class Run:
    """A run as it stands in the comparison.

    Attributes:
        label: the end of its path, as long as it takes to tell it from the others.
        report: of the run.
        paired: it has the split of the first run, so that differences have intervals; the first one itself has.
    """

    label: str
    report: AuditReport
    paired: bool


@dataclass(frozen=True)
class Row:
    """One attack or control in every run.

    Attributes:
        name: of the attack.
        results: one a run; None where it did not run there.
        differences: AUROC less that of the first run, for the other runs; None where one of the two is missing.
    """

    name: str
    results: tuple[AttackResult | None, ...]
    differences: tuple["Gap | None", ...]


@dataclass(frozen=True)
class Gap:
    """A difference of AUROCs; `paired` has its interval where both runs have one split."""

    value: float
    paired: PairedDifference | None


@dataclass(frozen=True)
class Block:
    """The attacks of one level and access, the strongest of the first run that has them first.

    Attributes:
        level: "utterance" or "speaker".
        access: "none" for the blind control.
        verdicts: one a run; None where there is none on these.
        rows: the attacks.
    """

    level: str
    access: str
    verdicts: tuple[LevelVerdict | None, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Comparison:
    """Runs side by side."""

    runs: tuple[Run, ...]
    blocks: tuple[Block, ...]

    @property
    def unpaired(self) -> tuple[Run, ...]:
        """Runs that were judged on another split than the first."""
        return tuple(run for run in self.runs if not run.paired)


def compare_runs(folders: Sequence[str | Path]) -> Comparison:
    """Read the runs and put them side by side.

    Raises:
        InputError: fewer than two runs, one run twice, or a folder without a report that can be read.
    """
    if len(folders) < 2:
        raise InputError(
            f"compare puts runs side by side, but was given {len(folders)}: name two run directories or more"
        )
    paths = [Path(folder).resolve() for folder in folders]
    if twice := [str(folder) for folder, path in zip(folders, paths, strict=True) if paths.count(path) > 1]:
        raise InputError(f"{twice[0]} stands there more than once; name each run directory once")
    reports = [load_run(folder) for folder in folders]
    first = reports[0].split.sha256
    labels = short_labels(paths)
    runs = [Run(label, one, one.split.sha256 == first) for label, one in zip(labels, reports, strict=True)]
    return Comparison(tuple(runs), tuple(_blocks(runs)))


def short_labels(paths: Sequence[Path]) -> list[str]:
    """The ends of the paths, with as many parts as it takes to tell them apart.

    >>> short_labels([Path("/a/x/run"), Path("/a/y/run")])
    ['x/run', 'y/run']
    """
    for n_parts in range(1, max(len(path.parts) for path in paths) + 1):
        labels = ["/".join(path.parts[-n_parts:]) for path in paths]
        if len(set(labels)) == len(labels):
            return labels
    return [str(path) for path in paths]


def _blocks(runs: Sequence[Run]) -> list[Block]:
    blocks = []
    for level in LEVELS:
        for access in ACCESSES:
            names = _names(runs, level, access)
            if names:
                rows = [_row(runs, name, level) for name in names]
                blocks.append(Block(level, access, tuple(_verdict(run, level, access) for run in runs), tuple(rows)))
    return blocks


def _names(runs: Sequence[Run], level: str, access: str) -> list[str]:
    """The attacks of any run, or the blind control."""
    found: dict[str, float] = {}
    for run in runs:
        results = run.report.attacks if access != "none" else run.report.controls
        for one in results:
            if (one.level, one.access) == (level, access) and (access != "none" or one.name == "blind"):
                found.setdefault(one.name, strength(one))
    return sorted(found, key=lambda name: -found[name])


def _row(runs: Sequence[Run], name: str, level: str) -> Row:
    results = [run.report.result(name, level) for run in runs]
    gaps = [
        _gap(runs[0], results[0], run, result) if results[0] and result else None
        for run, result in zip(runs[1:], results[1:], strict=True)
    ]
    return Row(name, tuple(results), tuple(gaps))


def _gap(first: Run, base: AttackResult, other: Run, result: AttackResult) -> Gap:
    paired = None
    if other.paired:
        ours, theirs = first.report.scores_of(base), other.report.scores_of(result)
        paired = paired_difference(ours, theirs) if same_challenge(ours, theirs) else None
    return Gap(result.auroc - base.auroc, paired)


def _verdict(run: Run, level: str, access: str) -> LevelVerdict | None:
    found = run.report.verdict.by_level_and_access
    return next((one for one in found if (one.level, one.access) == (level, access)), None)
