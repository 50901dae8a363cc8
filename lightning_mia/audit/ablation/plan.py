"""From a grid to the audits that are to be run, all of it checked before one of them begins."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lightning_mia.audit import configs as shipped_configs
from lightning_mia.audit.ablation.audit_options import AuditOptions, Wanted, as_arguments, is_judging
from lightning_mia.audit.ablation.cell import CellTask, LongerRun, folder_of
from lightning_mia.audit.ablation.grid import OF_THE_SEED, Cell, Plan
from lightning_mia.audit.ablation.shared_runs import LENGTH, STOP, LongerRuns, longer_runs
from lightning_mia.report.ablation.labels import label_text
from lightning_mia.training.trainer_factory import OF_LENGTH
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of


def find_base(base: str, grid_file: Path | None) -> Path:
    """The base config: a path from the grid file, from here, or of a config that ships.

    Raises:
        InputError: there is none.
    """
    from_grid = [grid_file.parent / base] if grid_file else []
    for path in (*from_grid, Path(base), shipped_configs.find(base)):
        if path and path.is_file():
            return path
    raise InputError(
        f"There is no base config {base}: not beside the grid file, not here, not among `lightning-mia configs`"
    )


def check_not_varied(passed_on: Sequence[str], plan: Plan) -> None:
    """Refuse options on the command line that the grid varies.

    Raises:
        InputError: there is one, or what is no option at all.
    """
    given = [argument[2:].split("=")[0] for argument in passed_on if argument.startswith("--")]
    if passed_on and not passed_on[0].startswith("--"):
        raise InputError(f"{passed_on[0]!r} is no option of ablate")
    if seed := next((option for option in given if option in OF_THE_SEED), None):
        raise InputError(f"--{seed} is set by the grid's seeds; give --seeds")
    for name, settings in plan.settings.items():
        varied = {option for setting in settings for option in setting.options}
        if option := next((option for option in given if option in varied), None):
            raise InputError(f"--{option} is what factor {name} varies; change the grid file")


def check_values(plan: Plan, audit: AuditOptions) -> dict[tuple[str, str], Wanted]:
    """Check every value of every factor by itself, with the base around it.

    Returns:
        (factor, label) → what such an audit would be made from.

    Raises:
        InputError: an option does not exist, or a value is of the wrong type; names the factor and the value.
    """
    values = [(name, setting) for name, settings in plan.settings.items() for setting in settings]
    return {
        (name, label_text(setting.label)): audit.read(
            setting.options, f"Factor {name}, value {label_text(setting.label)}"
        )
        for name, setting in tqdm(values, desc="Checking the grid", unit="value")
    }


def check_shared(longer: LongerRuns, audit: AuditOptions) -> None:
    """Check a cell that is a checkpoint of a longer run, where there are any.

    Raises:
        InputError: the base ends its trainings in another way already.
    """
    where = "share_longer_runs"
    if set_already := [name for name in OF_LENGTH if longer.sources and audit.trainer_options().get(name)]:
        raise InputError(f"{where} sets trainer.{set_already[0]} for every cell: leave that out of the base")
    for source in list(longer.sources.values())[:1]:
        audit.read({LENGTH: source.of, STOP: source.epochs}, where)


def plan_tasks(
    plan: Plan, audit: AuditOptions, base: Wanted, base_copy: Path, passed_on: Sequence[str], root: Path
) -> list[tuple[Cell, CellTask]]:
    """All cells with what is to be done for them, in the order in which they are begun.

    Args:
        plan: the grid.
        audit: knows the options.
        base: what the base alone would be made from.
        base_copy: the base config that the cells read.
        passed_on: arguments that come after it.
        root: folder of the grid.
    """
    cells = plan.cells()
    longer = longer_runs(plan, cells)
    wanted = check_values(plan, audit)
    check_shared(longer, audit)
    tasks = [_task(cell, audit, base, wanted, base_copy, passed_on, root, longer) for cell in cells]
    by_name = {task.name: task for task in tasks}
    alike: dict[str, list[Path]] = {}
    for task in tasks:
        alike.setdefault(task.stage.sha256, []).append(task.folder)
    siblings = [tuple(folder for folder in alike[task.stage.sha256] if folder != task.folder) for task in tasks]
    tasks = [replace(task, siblings=others) for task, others in zip(tasks, siblings, strict=True)]
    sources = {name: LongerRun(by_name[one.longest.name], one) for name, one in longer.sources.items()}
    return [(cell, replace(task, longer=sources.get(cell.name))) for cell, task in zip(cells, tasks, strict=True)]


def _task(
    cell: Cell,
    audit: AuditOptions,
    base: Wanted,
    wanted: Mapping[tuple[str, str], Wanted],
    base_copy: Path,
    passed_on: Sequence[str],
    root: Path,
    longer: LongerRuns,
) -> CellTask:
    folder = folder_of(cell, root)
    options = longer.options(cell)
    trained = {option: value for option, value in options.items() if not is_judging(option)}
    judged = {option: value for option, value in options.items() if option not in trained}
    of_values = {wanted[name, label_text(setting.label)].corpus for name, setting in cell.settings.items()}
    recordings = sorted(audit.recordings(corpus) for corpus in {base.corpus} | of_values)
    settings: dict[str, Any] = {"base": base.settings, "varied": trained, "recordings": recordings}
    own = {"run_dir": str(folder), "results_url": None}  # the grid copies the results of its cells
    of_cell = {**options, **longer.arguments(cell), **own}
    arguments = ("audit", "-c", str(base_copy), *passed_on, *as_arguments(of_cell))
    return CellTask(cell.name, folder, arguments, settings, hash_of([base.judging, judged]))
