"""Command `evaluate`: evaluate the signals of any model from a table."""

from pathlib import Path
from typing import Literal

from lightning_mia.audit.signals_csv import read_signals
from lightning_mia.evaluation import EvaluationSettings
from lightning_mia.evaluation.scores import Access

EXAMPLE = """

Example: membership scores of 2 shadow models, `lightning-mia evaluate signals.csv`:
    id,member,group,target,shadow_000,in_000,shadow_001,in_001
    a1,1,Ann,-1.2,-1.4,1,-2.2,0
    b1,0,Bob,-2.0,-1.9,0,-1.5,1
"""
DEFAULT_EVALUATION = EvaluationSettings()


def evaluate_table(
    signals: str,
    run_dir: str | None = None,
    drawn: bool = False,
    access: Access = "grey-box",
    delimiter: Literal["auto", ",", ";", "tab"] = "auto",
    evaluation: EvaluationSettings = DEFAULT_EVALUATION,
    command: str = "",
) -> Path:
    """Evaluate membership signals of any model.

    The signal of the target is evaluated as it is. With shadow models, it is also compared with theirs: LiRA, RMIA,
    BaVarIA, MidPoint, Attack R and the calibrated loss, in their online form if every unit is IN for some shadow model.

    Args:
        signals: CSV file with the columns `id`; `member` (1, 0, or empty = auxiliary: in no training set); `target`
            (signal of the target, higher for members, such as the negative loss); and optionally `group` (dependent
            units, such as a speaker), `shadow_000`, … (the same signal of shadow models) and `in_000`, … (1 if the
            unit is in the training set of that shadow model).
        run_dir: folder of the report; by default `runs/` and the name of the file.
        drawn: members were drawn at random from the evaluated units. Without random assignment, scores alone allow no
            verdict: members and non-members may differ in more than membership.
        access: access to the model that the signal needs: `black-box`, `open-weights`, `grey-box` or `white-box`.
        delimiter: between the columns: `,`, `;`, `tab`; `auto` finds out.
        evaluation: evaluation of the scores.
        command: command line, for the report.

    Returns:
        The report's page.

    Raises:
        InputError: the table cannot be read, or the folder holds the report of another table.
    """
    path = Path(signals).expanduser()
    table = read_signals(path, None if delimiter == "auto" else "\t" if delimiter == "tab" else delimiter)
    folder = Path(run_dir).expanduser() if run_dir else Path("runs") / path.stem
    from lightning_mia.audit.table_evaluation import report_table

    return report_table(table, path, folder, drawn, access, evaluation, command)
