"""Report of a finished run for Python: verdict, tables, figures, page."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from lightning_mia.evaluation.results import AttackResult
from lightning_mia.evaluation.verdict import strength
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.finding import finding
from lightning_mia.report.content.groups import attack_groups
from lightning_mia.report.content.wording import BLIND_HEADLINES, HEADLINES
from lightning_mia.report.figures.attacks import Curve, log_roc_figure
from lightning_mia.report.figures.drawn_groups import draw_attacks, draw_controls
from lightning_mia.report.write import find_report, load_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_ROWS = 10
"""Attacks in the table of a notebook; `attack_table` has all."""


@dataclass(frozen=True, repr=False)
class NotebookReport(AuditReport):
    """`AuditReport` of a finished run, as a notebook shows it.

    Attributes:
        page: the report's page; its folder holds the other files.

    Example:
        `AuditTrainer.audit` returns it, and `load` reads it again:

            report = NotebookReport.load("runs/tera")
            report.verdict.status, report.attack_table.head(), report.page
    """

    page: Path = Path()

    @classmethod
    def load(cls, run_dir: str | Path) -> "NotebookReport":
        """Read the report of a run.

        Args:
            run_dir: folder of the run.

        Raises:
            InputError: the run has no report, or its files are damaged.
        """
        folder = find_report(run_dir)
        report = load_report(folder)
        return cls(**{field.name: getattr(report, field.name) for field in fields(report)}, page=folder / "report.html")

    @property
    def headline(self) -> str:
        """The overall verdict in words."""
        return (BLIND_HEADLINES if self.is_blind_check else HEADLINES)[self.verdict.status]

    @property
    def attack_table(self) -> pd.DataFrame:
        """Attacks, the strongest first: a row each."""
        return result_table(sorted(self.attacks, key=strength, reverse=True))

    @property
    def control_table(self) -> pd.DataFrame:
        """Controls, in the order of the run: a row each."""
        return result_table(self.controls)

    @property
    def score_table(self) -> pd.DataFrame:
        """Scores of attacks and controls, a row per unit: the columns of `scores.csv`."""
        tables = [
            pd.DataFrame(
                {
                    "attack": scores.name,
                    "level": scores.level,
                    "unit_id": scores.unit_ids,
                    "speaker": scores.speakers,
                    "member": scores.members,
                    "score": scores.values,
                }
            )
            for scores in self.scores
        ]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

    def figures(self) -> dict[str, "Figure"]:
        """Draw all figures of the report.

        Returns:
            Tag, such as `roc_log/utterance/grey-box` → Matplotlib figure.
        """
        drawn = (*draw_attacks(self), *draw_controls(self))
        results = [figures for group in drawn for figures in (group.featured, group.others)]
        drawings = [drawing for figures in results for drawing in (*figures.rocs, *figures.histograms)]
        drawings += [drawing for group in drawn for drawing in (*group.by_shadows, *group.by_exposures)]
        return {drawing.tag: drawing.figure for drawing in drawings}

    def __repr__(self) -> str:
        """Return headline, reason and page."""
        return f"{self.headline}: {self.verdict.reason}\n{len(self.attacks)} attacks; page: {self.page}"

    def _repr_html_(self) -> str:
        columns = ["name", "level", "access", "auroc", "lower95", "upper95", "p_value_corrected"]
        table = self.attack_table
        rates = [name for name in table.columns if name.startswith("tpr_at_fpr_")]
        rows = (
            table.head(MAX_ROWS)[[*columns, *rates]].to_html(index=False, float_format=lambda value: f"{value:.3g}")
            if len(table)
            else ""
        )
        more = f"<p>… {len(table) - MAX_ROWS} more in <code>attack_table</code></p>" if len(table) > MAX_ROWS else ""
        sentences = "".join(f"<p><b>{escape(sentence)}</b></p>" for sentence in finding(self))
        link = f'<p><a href="{escape(str(self.page), quote=True)}">{escape(str(self.page))}</a></p>'
        return (
            f"<h4>{escape(self.headline)}</h4>{sentences}<p>{escape(self.verdict.reason)}</p>"
            f"{rows}{more}{self._roc_html()}{link}"
        )

    def _roc_html(self) -> str:
        groups = attack_groups(self)
        if not groups:
            return ""
        best = max((group.best for group in groups), key=strength)
        figure = log_roc_figure([Curve(best.name, self.scores_of(best))], None)
        return figure_html(figure, f"ROC curve of {best.name}, AUROC {best.auroc:.2f}")


def result_table(results: Iterable[AttackResult]) -> pd.DataFrame:
    """List results, a row each.

    Args:
        results: of attacks or controls.
    """
    rows = []
    for result in results:
        lower, upper = result.auroc_ci95
        row = {
            "name": result.name,
            "level": result.level,
            "part": result.part,
            "access": result.access,
            "auroc": result.auroc,
            "lower95": lower,
            "upper95": upper,
            "p_value": result.p_value,
            "p_value_corrected": result.p_value_corrected,
            **{f"tpr_at_fpr_{rate.fpr:g}": rate.tpr for rate in result.tpr_at_fpr},
            "advantage": result.advantage,
            "n_members": result.n_members,
            "n_nonmembers": result.n_nonmembers,
            "n_shadows": result.n_shadows,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def figure_html(figure: "Figure", label: str) -> str:
    """Embed a figure in HTML, as an image without references.

    Args:
        figure: Matplotlib figure.
        label: alternative text.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{escape(label, quote=True)}" src="data:image/png;base64,{data}">'
