"""Report of an audit: files, pages, figures, TensorBoard events."""

from lightning_mia.report.audit_report import (
    AuditReport,
    FleetSummary,
    Provenance,
    SkippedRecording,
    SplitSummary,
    Suggestion,
    Target,
    TrainedModel,
    UnitFacts,
    summarise_fleet,
)
from lightning_mia.report.write import load_report, rebuild, write_report

__all__ = [
    "AuditReport",
    "FleetSummary",
    "Provenance",
    "SkippedRecording",
    "SplitSummary",
    "Suggestion",
    "Target",
    "TrainedModel",
    "UnitFacts",
    "load_report",
    "rebuild",
    "summarise_fleet",
    "write_report",
]
