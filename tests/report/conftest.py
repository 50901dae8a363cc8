"""Planted reports, made once per session."""

from dataclasses import replace

import pytest

from lightning_mia.audit.breakdown import add_breakdown
from lightning_mia.report import AuditReport
from tests import planted_report as planted


@pytest.fixture(scope="session")
def planted_report() -> AuditReport:
    return planted.make_planted_report()


@pytest.fixture(scope="session")
def small_report() -> AuditReport:
    return planted.make_small_report()


@pytest.fixture(scope="session")
def complete_report(small_report) -> AuditReport:
    """The small report with slices and per-speaker risks; all units have the same duration."""
    return add_breakdown(replace(small_report, units=planted.make_units(small_report.scores[0])))


@pytest.fixture(scope="session")
def planted_blind_report() -> AuditReport:
    return planted.make_planted_blind_report()


@pytest.fixture(scope="session")
def planted_fleet_report(planted_report) -> AuditReport:
    return planted.make_planted_fleet_report(planted_report)


@pytest.fixture(scope="session")
def small_fleet_report(planted_fleet_report) -> AuditReport:
    return planted.make_small_fleet_report(planted_fleet_report)
