"""What to do about a verdict, and what to test next."""

from collections.abc import Iterator
from typing import get_args

from lightning_mia.evaluation.results import headline_rate
from lightning_mia.evaluation.scores import LEVELS, Access
from lightning_mia.evaluation.statistics.roc import MIN_FALSE_POSITIVES
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content import wording
from lightning_mia.report.content.access_row import access_row
from lightning_mia.report.content.numbers import count, decimal, percent

Advice = tuple[str, str]  # heading and text

DEFENCES = (
    ("fewer epochs (half)", "−0.11", "−0.04", "0.69"),
    ("dropout", "−0.07", "−0.03", "0.74"),
    ("SpecAugment", "−0.07", "−0.03", "0.74"),
    ("weight decay", "−0.04", "+0.00", "0.82"),
    ("DP-SGD, ε ≤ 33", "−0.18", "−0.23", "0.54"),
)
"""Defence → changes of the pretext loss's AUROC from 0.73 and of the pretext score on other recordings from 0.68; AUROC
of relearning, 0.85 without a defence. From `docs/results.md`, on a tiny TERA trained on 100 recordings."""

ENOUGH_SHADOWS = 16


def advice(report: AuditReport) -> tuple[Advice, ...]:
    """Return headings and texts for this verdict."""
    if report.is_blind_check:
        return tuple(_about_split(report))
    if report.target is None:
        return tuple(_about_signals(report))
    if report.verdict.status == "leak":
        return (*_reduce(report), *_test_next(report))
    if report.verdict.status == "no_evidence":
        return tuple(_test_next(report))
    return (("First", (wording.REDRAW if report.split.drawn else wording.DRAW_OR_MATCH).strip()), *_test_next(report))


def _about_split(report: AuditReport) -> Iterator[Advice]:
    if report.verdict.status == "no_evidence":
        yield "Next", "Audit a model on this split: lightning-mia audit, or lightning-mia attack with a checkpoint."
    else:
        yield "First", (wording.REDRAW if report.split.drawn else wording.DRAW_OR_MATCH).strip()


def _about_signals(report: AuditReport) -> Iterator[Advice]:
    """Advise on a model of which only the signals are known."""
    if report.verdict.status == "leak":
        yield "Train less", "Leaks grow with every pass over the training data: fewer epochs and more data reduce them."
        yield "Compare defences", _costs()
    if not report.split.drawn:
        yield (
            "First",
            "Scores allow a verdict only if members were drawn at random (--drawn true): draw them before the "
            "training, or audit the model itself, with controls.",
        )
    if not any(attack.n_shadows for attack in report.attacks):
        yield "Stronger attacks", "Add the signals of shadow models (columns shadow_000, in_000, …)."


def _reduce(report: AuditReport) -> Iterator[Advice]:
    target = next((model for model in report.provenance.models if model.name == "target"), None)
    trained = f"The target was trained for {count(target.epochs)} epochs. " if target and target.epochs else ""
    yield (
        "Train less",
        f"{trained}Leaks grow with every pass over the recordings. The option monitor.stop_above ends the training "
        "before an attack exceeds an AUROC of your choice; more recordings at the same number of epochs help, too.",
    )
    yield "Compare defences", f"{_costs()} The grid ablation/defences.yaml measures the same on your recordings."
    yield "Weigh the cost", _utility(report)
    unsuccessful = [step.access for step in access_row(report) if step.outcome == "not_found"]
    if unsuccessful:
        yield (
            "Limit access",
            f"The attacks with {' and '.join(unsuccessful)} access found nothing; others may find more.",
        )


def _costs() -> str:
    listed = "; ".join(f"{name} {leak}, {cost} and {left}" for name, leak, cost, left in DEFENCES)
    return (
        "Change of the leak (AUROC of the pretext loss, from 0.73), change of the training task (score on other "
        "recordings, from 0.68), and what relearning still finds (AUROC, 0.85 without a defence), measured on a tiny "
        f"TERA trained on 100 recordings, not on this model: {listed}."
    )


def _utility(report: AuditReport) -> str:
    utility = report.utility
    if utility is None or utility.target is None:
        return (
            "This run did not measure what the model is good for. With utility.probe keyword or speaker, a run with a "
            "defence and one without show what it costs."
        )
    return (
        f"What the model is good for, before any defence: accuracy {decimal(utility.target.accuracy, 2)} of a linear "
        f"probe for the {utility.probe} (chance {decimal(utility.chance, 2)}). Measure it again with a defence."
    )


def _test_next(report: AuditReport) -> Iterator[Advice]:
    """List what this run left out."""
    tested = {attack.access for attack in report.attacks}
    untested = [access for access in get_args(Access) if access not in tested]
    if untested:
        yield "Other access", f"Not tested: {', '.join(untested)}. The attack set all has attacks for each."
    levels = {attack.level for attack in report.attacks}
    for level in LEVELS:
        if levels and level not in levels:
            asked = "persons instead of recordings" if level == "speaker" else "recordings instead of persons"
            yield "Other question", f"Ask about {asked}: --data.level {level}, or audit/{_CONFIGS[level]}."
    n_shadows = max((attack.n_shadows for attack in report.attacks), default=0)
    if n_shadows < ENOUGH_SHADOWS and report.attacks:
        has = f"had {n_shadows}" if n_shadows else "had none"
        yield (
            "Stronger attacks",
            f"This run {has}: shadow models make most attacks stronger (--fleet.size {ENOUGH_SHADOWS}). With "
            "--fleet.pool auxiliary, they show what an outsider can do.",
        )
    if report.verdict.status != "leak" and not report.exposures:
        yield (
            "Positive control",
            "Show that the attacks find what was certainly trained on: --positive_control. Without it, silence may "
            "mean that they do not work on this model.",
        )
    rates = [rate for attack in report.attacks if (rate := headline_rate(attack.tpr_at_fpr))]
    unresolved = [rate.fpr for rate in rates if not rate.resolvable]
    if unresolved:
        needed = round(MIN_FALSE_POSITIVES / min(unresolved))
        yield (
            "More recordings",
            f"A false positive rate of {percent(min(unresolved))} is resolved from {count(needed)} non-members on "
            f"(--data.design.n_units {2 * needed}).",
        )


_CONFIGS = {"utterance": "manifest.yaml", "speaker": "speakers.yaml"}
