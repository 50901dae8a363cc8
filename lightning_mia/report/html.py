"""`report.html`: one page that needs nothing else, the verdict first."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_mia.evaluation.dataset_inference import DatasetInference
from lightning_mia.evaluation.results import AttackResult, LevelVerdict
from lightning_mia.evaluation.scores import ACCESSES, LEVELS
from lightning_mia.evaluation.verdict import separates
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content import numbers as number_format
from lightning_mia.report.content import wording
from lightning_mia.report.content.breakdown import speaker_notes, uncut
from lightning_mia.report.content.groups import HEADLINE_FPR, Group, headline_rate, headline_tpr_in_turn
from lightning_mia.report.content.key_numbers import key_numbers
from lightning_mia.report.content.protocol import limits, protocol
from lightning_mia.report.content.utility import utility_note, utility_rows
from lightning_mia.report.figures.drawing import Drawing
from lightning_mia.report.figures.groups import DrawnGroup
from lightning_mia.report.figures.shadow_models import sizes_of
from lightning_mia.report.figures.svg import inline_svg

if TYPE_CHECKING:
    from jinja2 import BytecodeCache, Environment
    from jinja2.bccache import Bucket
    from markupsafe import Markup

MAX_SPEAKERS = 100
"""Speakers in the page's table; a file beside the report has all."""

_HERE = Path(__file__).parent / "templates"


def render_page(
    report: AuditReport,
    attacks: Sequence[DrawnGroup],
    controls: Sequence[DrawnGroup],
    names: Mapping[str, str] | None = None,
) -> str:
    """Return the HTML of the report. The same report gives the same text, to the byte.

    Args:
        report: what there is to say.
        attacks: the drawn groups of its attacks.
        controls: the drawn groups of its controls.
        names: pseudonym → name of the speakers, for a page that shows names, also those of recordings; None: it shows
            none.
    """
    headlines, meanings = (
        (wording.HEADLINES, wording.MEANINGS) if report.target else (wording.BLIND_HEADLINES, wording.BLIND_MEANINGS)
    )
    return (
        make_environment()
        .get_template("report.html")
        .render(
            report=report,
            style=style(),
            script=script(),
            show_names=names is not None,
            names=names or {},
            speaker_notes=speaker_notes(report.speaker_risks),
            most_speakers=MAX_SPEAKERS,
            uncut=uncut(report),
            slices_by=[(by, list(parts)) for by, parts in groupby(report.slices or (), key=lambda one: one.by)],
            protocol=protocol(report),
            limits=limits(report),
            skipped_reasons=Counter(recording.reason for recording in report.skipped).most_common(),
            headline=headlines[report.verdict.status],
            meaning=meanings[report.verdict.status],
            key_numbers=key_numbers(report),
            attacks=attacks,
            controls=controls,
            best_rows=_best_rows(report, attacks),
            glossary=wording.GLOSSARY,
            headlines=headlines,
            exposure_rows=_exposure_rows(report),
            separates=separates,
            published=[
                (figure, report.result(figure.attack, figure.level), report.blind(figure.level))
                for figure in report.published
            ],
            utility_note=utility_note(report.utility) if report.utility else "",
            utility_rows=utility_rows(report.utility) if report.utility else (),
            **_of_fleet(report, attacks),
        )
    )


def style() -> "Markup":
    """The style sheet of every page."""
    from markupsafe import Markup

    return Markup((_HERE / "style.css").read_text(encoding="utf-8"))


def script() -> "Markup":
    """The script that sorts tables."""
    from markupsafe import Markup

    return Markup((_HERE / "sort.js").read_text(encoding="utf-8"))


def make_environment(*folders: Path) -> "Environment":
    """Templates with the report's filters.

    Args:
        folders: where templates are looked for before the report's own.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, _HERE]),
        bytecode_cache=_compiled(),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("decimal", "signed", "interval", "percent", "percent_interval", "p_value", "count", "duration"):
        environment.filters[name] = getattr(number_format, name)
    environment.filters["headline_rate"] = headline_rate
    environment.filters["headline_tpr_in_turn"] = headline_tpr_in_turn
    environment.filters["breakable"] = _breakable
    environment.filters["inline"] = _inliner()
    return environment


@cache
def _compiled() -> "BytecodeCache":
    """Templates of this process, compiled once for all its pages; to compile takes as long as to fill them in."""
    import jinja2

    class InMemory(jinja2.BytecodeCache):
        def __init__(self) -> None:
            self.code: dict[str, bytes] = {}

        def load_bytecode(self, bucket: "Bucket") -> None:
            if bucket.key in self.code:
                bucket.bytecode_from_string(self.code[bucket.key])

        def dump_bytecode(self, bucket: "Bucket") -> None:
            self.code[bucket.key] = bucket.bytecode_to_string()

    return InMemory()


def _best_rows(report: AuditReport, attacks: Sequence[DrawnGroup]) -> list[tuple[LevelVerdict, Group | None]]:
    """The verdict of each level and access with the attacks that it is on."""
    groups = {(one.group.level, one.group.access): one.group for one in attacks}
    return [(verdict, groups.get((verdict.level, verdict.access))) for verdict in report.verdict.by_level_and_access]


def _of_fleet(report: AuditReport, attacks: Sequence[DrawnGroup]) -> dict[str, Any]:
    """What the page says of shadow models, and of sets of recordings."""
    rates = [rate for result in report.attacks if (rate := headline_rate(result.tpr_at_fpr))]
    return {
        "headline_fpr": rates[0].fpr if rates else HEADLINE_FPR,
        "has_fleet": any(result.n_shadows for result in report.attacks),
        "has_queries": any(result.queries is not None for result in report.attacks),
        "pools": wording.POOLS,
        "pool_words": wording.POOL_WORDS,
        "pool_notes": wording.POOL_NOTES,
        "fleet_health": _fleet_health(report),
        "turned": [one for one in attacks if any(result.in_turn for result in one.group.results)],
        "fewer": [(one, sizes) for one in attacks if (sizes := sizes_of(one.group))],
        "sets": _sets(report.dataset_inference),
    }


def _fleet_health(report: AuditReport) -> list[tuple[str, float, float, float | None]]:
    """Figure, its smallest and largest last value over the fleet, and the target's."""
    if report.fleet is None:
        return []
    of_target = next((model.health for model in report.provenance.models if model.name == "target"), {})
    return [
        (figure, lowest, highest, of_target[figure][-1] if figure in of_target else None)
        for figure, (lowest, highest) in report.fleet.health.items()
    ]


def _sets(found: Sequence[DatasetInference]) -> list[tuple[str, str, list[DatasetInference]]]:
    """By level and access, the smallest p-value first."""
    groups = [
        (level, access, sorted((one for one in found if (one.level, one.access) == (level, access)), key=_p_of_set))
        for level in LEVELS
        for access in ACCESSES
    ]
    return [group for group in groups if group[2]]


def _p_of_set(one: DatasetInference) -> tuple[float, float]:
    return one.p_value, -abs(one.difference)


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
