"""Plan and check all audits of a grid."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning_mia.audit import configs as shipped_configs
from lightning_mia.audit.ablation.audit_options import (
    OptionsReader,
    ParsedOptions,
    as_arguments,
    is_evaluation_option,
    with_stable_paths,
)
from lightning_mia.audit.ablation.cell import CellTask, SharedRun, cell_folder
from lightning_mia.audit.ablation.grid import SEED_OPTIONS, Cell, Plan
from lightning_mia.audit.ablation.shared_runs import MAX_EPOCHS, STOP_AFTER_EPOCHS, SharedRuns, find_shared_runs
from lightning_mia.report.ablation.labels import label_text
from lightning_mia.training.trainer_options import LENGTH_OPTIONS
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of
from lightning_mia.utilities.progress_bar import tqdm


def find_base(base: str, grid_file: Path | None) -> Path:
    """Find the base config.

    Raises:
        InputError: it does not exist.
    """
    from_grid = [grid_file.parent / base] if grid_file else []
    for path in (*from_grid, Path(base), shipped_configs.find(base)):
        if path and path.is_file():
            return path
    raise InputError(
        f"Base config {base} not found: not next to the grid file, not in the working directory, not among "
        "`lightning-mia configs`"
    )


def check_passed_on(passed_on: Sequence[str], plan: Plan) -> None:
    """Reject options of the command line that the grid varies.

    Raises:
        InputError: an argument is varied by the grid, or is not an option.
    """
    given = [argument[2:].split("=")[0] for argument in passed_on if argument.startswith("--")]
    if passed_on and not passed_on[0].startswith("--"):
        raise InputError(f"{passed_on[0]!r} is not an option of ablate")
    if seed := next((option for option in given if option in SEED_OPTIONS), None):
        raise InputError(f"--{seed} is set by the seeds of the grid; give --seeds")
    for name, settings in plan.settings.items():
        varied = {option for setting in settings for option in setting.options}
        if option := next((option for option in given if option in varied), None):
            raise InputError(f"--{option} is varied by factor {name}; change the grid file instead")


def plan_tasks(
    plan: Plan, reader: OptionsReader, base: ParsedOptions, base_copy: Path, passed_on: Sequence[str], root: Path
) -> list[tuple[Cell, CellTask]]:
    """Return all cells with their tasks.

    Args:
        plan: the grid.
        reader: parser of the options.
        base: options of the base config alone.
        base_copy: copy of the base config, which the cells read.
        passed_on: arguments of every audit, after the config.
        root: folder of the grid.

    Raises:
        InputError: an option or value of the grid is invalid.
    """
    cells = plan.cells()
    shared = find_shared_runs(plan, cells)
    parsed = _read_values(plan, reader)
    _check_shared(shared, reader)
    tasks = [_task(cell, reader, base, parsed, base_copy, passed_on, root, shared) for cell in cells]
    by_name = {task.name: task for task in tasks}
    by_training: dict[str, list[Path]] = {}
    for task in tasks:
        by_training.setdefault(task.stage.sha256, []).append(task.folder)
    siblings = [tuple(folder for folder in by_training[task.stage.sha256] if folder != task.folder) for task in tasks]
    tasks = [replace(task, siblings=others) for task, others in zip(tasks, siblings, strict=True)]
    runs = {name: SharedRun(by_name[source.longest.name], source) for name, source in shared.sources.items()}
    return [(cell, replace(task, longer=runs.get(cell.name))) for cell, task in zip(cells, tasks, strict=True)]


def _read_values(plan: Plan, reader: OptionsReader) -> dict[tuple[str, str], ParsedOptions]:
    """Parse every value of every factor, by (factor, label).

    Raises:
        InputError: an option does not exist, or a value has the wrong type.
    """
    values = [
        (name, label_text(setting.label), setting) for name, settings in plan.settings.items() for setting in settings
    ]
    return {
        (name, label): reader.read(setting.options, f"Factor {name}, value {label}")
        for name, label, setting in tqdm(values, desc="Checking the grid", unit="value")
    }


def _check_shared(shared: SharedRuns, reader: OptionsReader) -> None:
    """Check the options of one shared cell, if any.

    Raises:
        InputError: the base config already sets the length of training.
    """
    where = "share_longer_runs"
    if conflicts := [name for name in LENGTH_OPTIONS if shared.sources and reader.trainer_options().get(name)]:
        raise InputError(f"{where} sets trainer.{conflicts[0]} for every cell; remove it from the base config")
    for source in list(shared.sources.values())[:1]:
        reader.read({MAX_EPOCHS: source.total_epochs, STOP_AFTER_EPOCHS: source.epochs}, where)


def _task(
    cell: Cell,
    reader: OptionsReader,
    base: ParsedOptions,
    parsed: Mapping[tuple[str, str], ParsedOptions],
    base_copy: Path,
    passed_on: Sequence[str],
    root: Path,
    shared: SharedRuns,
) -> CellTask:
    folder = cell_folder(cell, root)
    options = shared.options(cell)
    trained = {option: value for option, value in options.items() if not is_evaluation_option(option)}
    evaluated = {option: value for option, value in options.items() if option not in trained}
    corpora = {parsed[name, label_text(setting.label)].corpus for name, setting in cell.settings.items()}
    recordings = sorted(reader.recordings(corpus) for corpus in {base.corpus} | corpora)
    settings: dict[str, Any] = {"base": base.settings, "varied": with_stable_paths(trained), "recordings": recordings}
    own = {"run_dir": str(folder), "results_url": None}  # the grid uploads the results of its cells
    all_options = {**options, **shared.extra_options(cell), **own}
    arguments = ("audit", "-c", str(base_copy), *passed_on, *as_arguments(all_options))
    return CellTask(cell.name, folder, arguments, settings, hash_of([base.evaluation, with_stable_paths(evaluated)]))
