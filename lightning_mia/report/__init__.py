"""What a run leaves behind: results, scores, figures, pages."""

from lightning_mia.report.audit_report import (
    AuditReport,
    Provenance,
    SkippedRecording,
    SplitSummary,
    Target,
    TrainedModel,
)
from lightning_mia.report.fleet_summary import FleetSummary, summarise_fleet
from lightning_mia.report.run_report import load_report, rebuild, write_report
from lightning_mia.report.units import UnitFacts

__all__ = [
    "AuditReport",
    "FleetSummary",
    "Provenance",
    "SkippedRecording",
    "SplitSummary",
    "Target",
    "TrainedModel",
    "UnitFacts",
    "load_report",
    "rebuild",
    "summarise_fleet",
    "write_report",
]
