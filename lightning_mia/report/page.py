"""`report.html`: one page that needs nothing else, the verdict first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_mia.evaluation.results import AttackResult
from lightning_mia.evaluation.verdict import separates
from lightning_mia.report import number_format, wording
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.drawings import Drawing, Plate
from lightning_mia.report.key_numbers import key_numbers
from lightning_mia.report.svg import inline_svg

if TYPE_CHECKING:
    from markupsafe import Markup

_HERE = Path(__file__).parent


def render_page(report: AuditReport, attacks: Sequence[Plate], controls: Sequence[Plate]) -> str:
    """Return the HTML of the report. The same report gives the same text, to the byte.

    Args:
        report: what there is to say.
        attacks: the drawn groups of its attacks.
        controls: the drawn groups of its controls.
    """
    import jinja2
    from markupsafe import Markup

    headlines, meanings = (
        (wording.HEADLINES, wording.MEANINGS) if report.target else (wording.BLIND_HEADLINES, wording.BLIND_MEANINGS)
    )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in (
        "decimal",
        "signed",
        "interval",
        "percent",
        "percent_interval",
        "p_value",
        "count",
        "duration",
    ):
        environment.filters[name] = getattr(number_format, name)
    environment.filters["breakable"] = _breakable
    environment.filters["inline"] = _inliner()
    verdicts = {(verdict.level, verdict.access): verdict for verdict in report.verdict.by_level_and_access}
    return environment.get_template("template.html").render(
        report=report,
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8")),
        headline=headlines[report.verdict.status],
        meaning=meanings[report.verdict.status],
        key_numbers=key_numbers(report),
        attacks=attacks,
        controls=controls,
        verdicts=verdicts,
        glossary=wording.GLOSSARY,
        headlines=headlines,
        exposure_rows=_exposure_rows(report),
        separates=separates,
        published=[
            (figure, report.result(figure.attack, figure.level), report.blind(figure.level))
            for figure in report.published
        ],
    )


@dataclass(frozen=True)
class _ExposureRow:
    """One attack of the positive control, at every exposure (None where it could not run)."""

    name: str
    level: str
    access: str
    results: tuple[AttackResult | None, ...]


def _exposure_rows(report: AuditReport) -> list[_ExposureRow]:
    of_exposure = [{(one.name, one.level): one for one in exposure.results} for exposure in report.exposures]
    attacks = dict.fromkeys((one.name, one.level, one.access) for all_ in of_exposure for one in all_.values())
    return [
        _ExposureRow(name, level, access, tuple(results.get((name, level)) for results in of_exposure))
        for name, level, access in attacks
    ]


def _breakable(name: str) -> "Markup":
    """A name that a narrow column may break after an underscore."""
    from markupsafe import Markup, escape

    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))


def _inliner() -> "Callable[[Drawing], Markup]":
    """A filter that draws figures as markup and numbers them through, so that no two share an id."""
    from markupsafe import Markup

    number = count(1)
    return lambda drawing: Markup(inline_svg(drawing.figure, drawing.label, f"f{next(number)}"))
