"""Groups of attacks and controls with all their figures."""

from dataclasses import dataclass

from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.groups import Group, attack_groups, control_groups
from lightning_mia.report.figures.drawing import Drawing, ResultFigures, draw_results
from lightning_mia.report.figures.exposure_groups import draw_by_exposures
from lightning_mia.report.figures.shadow_models import draw_by_shadows

NO_FIGURES = ResultFigures()


@dataclass(frozen=True)
class DrawnGroup:
    """Results of one level and access with their figures.

    Attributes:
        group: the results.
        featured: figures of the featured results.
        others: figures of the other results; none for controls.
        by_shadows: AUROC and true positive rate by number of shadow models.
        by_exposures: AUROC and true positive rate by how often members are in an epoch.
    """

    group: Group
    featured: ResultFigures
    others: ResultFigures = NO_FIGURES
    by_shadows: tuple[Drawing, ...] = ()
    by_exposures: tuple[Drawing, ...] = ()


def draw_attacks(report: AuditReport) -> tuple[DrawnGroup, ...]:
    """Draw all attacks."""
    return tuple(
        DrawnGroup(
            group,
            draw_results(report, group, group.featured),
            draw_results(report, group, group.others),
            draw_by_shadows(group),
            draw_by_exposures(group),
        )
        for group in attack_groups(report)
    )


def draw_controls(report: AuditReport) -> tuple[DrawnGroup, ...]:
    """Draw the featured controls."""
    return tuple(DrawnGroup(group, draw_results(report, group, group.featured)) for group in control_groups(report))
