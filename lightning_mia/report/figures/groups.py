"""Groups of results with all their figures, ready for the page."""

from dataclasses import dataclass

from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.groups import Group, attack_groups, control_groups
from lightning_mia.report.figures.drawing import Drawing, Plate, draw
from lightning_mia.report.figures.shadow_models import draw_by_shadows

NOTHING = Plate()


@dataclass(frozen=True)
class DrawnGroup:
    """Results of one level and access with their figures.

    Attributes:
        group: the results.
        featured: figures of the featured results.
        others: figures of the others; none for controls, whose scores are in `scores.csv`.
        by_shadows: AUROC and true positive rate against the number of shadow models, where there are some.
    """

    group: Group
    featured: Plate
    others: Plate = NOTHING
    by_shadows: tuple[Drawing, ...] = ()


def draw_attacks(report: AuditReport) -> tuple[DrawnGroup, ...]:
    """Draw all attacks."""
    return tuple(
        DrawnGroup(
            group, draw(report, group, group.featured), draw(report, group, group.others), draw_by_shadows(group)
        )
        for group in attack_groups(report)
    )


def draw_controls(report: AuditReport) -> tuple[DrawnGroup, ...]:
    """Draw the featured controls."""
    return tuple(DrawnGroup(group, draw(report, group, group.featured)) for group in control_groups(report))
