"""What a run leaves behind: results, scores, figures, pages."""

from lightning_mia.report.audit_report import (
    AuditReport,
    Provenance,
    SkippedRecording,
    SplitSummary,
    Target,
    TrainedModel,
)
from lightning_mia.report.run_report import load_report, rebuild, write_report

__all__ = [
    "AuditReport",
    "Provenance",
    "SkippedRecording",
    "SplitSummary",
    "Target",
    "TrainedModel",
    "load_report",
    "rebuild",
    "write_report",
]
