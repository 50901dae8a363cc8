"""The protocol of a run in words: who was in, how that was drawn, what was asked, and how it was judged."""

from collections.abc import Iterator

from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.report.audit_report import AuditReport, TrainedModel
from lightning_mia.report.content.numbers import count, duration
from lightning_mia.report.content.wording import POOLS

Paragraph = tuple[str, str]  # heading and text


def protocol(report: AuditReport) -> tuple[Paragraph, ...]:
    """Headings and paragraphs, in the order in which things happened; what is not known is left out."""
    parts = (
        ("Who was in", _members(report)),
        ("Training", _training(report)),
        ("Shadow models", _fleet(report)),
        ("Questions", _questions(report)),
        ("Controls", _controls(report)),
        ("AuditOutcome", _judgement(report)),
        ("Machine and time", _machine(report)),
    )
    told = ((heading, " ".join(sentences)) for heading, sentences in parts)
    return tuple((heading, text) for heading, text in told if text)


def limits(report: AuditReport) -> tuple[str, ...]:
    """What the verdict does not reach, a sentence each; the general part stands in `wording.MEANINGS`."""
    if not report.target:
        return ()
    tried: dict[str, list[str]] = {}
    for attack in report.attacks:
        if attack.access not in tried.setdefault(attack.level, []):
            tried[attack.level].append(attack.access)
    told = "; ".join(f"{level} level ({', '.join(accesses)})" for level, accesses in tried.items())
    found = [f"Tried: {told}; nothing is said of other levels and accesses."] if tried else []
    units = "recordings" if report.split.level == "utterance" else "speakers"
    of_speakers = f" of {count(report.split.n_speakers)} speakers" if units == "recordings" else ""
    found.append(f"Judged on {count(report.split.n_members + report.split.n_nonmembers)} {units}{of_speakers}.")
    found.append(
        "An attack that succeeds is evidence about these members as a group; for one recording or one person it is no "
        "proof (arXiv 2409.19798)."
    )
    return tuple(found)


def _members(report: AuditReport) -> Iterator[str]:
    split = report.split
    unit = "recording" if split.level == "utterance" else "speaker"
    if split.drawn:
        seed = report.provenance.seeds.get("split")
        yield f"The members were drawn at random by this tool{_seeded(seed)}, {unit} by {unit}."
        if split.n_strata is not None and split.n_strata > 1:
            yield (
                f"Half of each of {count(split.n_strata)} strata became members; a stratum is one speaker's recordings "
                "where these are many enough, or a pool of several speakers'."
                if unit == "recording"
                else f"Half of each of {count(split.n_strata)} strata became members."
            )
    else:
        yield "The user said who was a member and who was not; this tool drew nothing."
    yield (
        f"Judged are {count(split.n_members)} member and {count(split.n_nonmembers)} non-member {unit}s"
        f"{f' of {count(split.n_speakers)} speakers' if unit == 'recording' else ''}."
    )
    if split.n_held_back:
        yield (
            f"{count(split.n_held_back)} recordings of members were held back from the training, so that a speaker can "
            "be asked about by recordings that the model has not seen."
        )
    if split.n_auxiliary:
        yield f"{count(split.n_auxiliary)} auxiliary recordings are in nobody's member set and are never judged."
    yield f"SHA-256 of the split: {split.sha256}."


def _training(report: AuditReport) -> Iterator[str]:
    target = next((model for model in report.provenance.models if model.name == "target"), None)
    if not report.target:
        return
    if target is None or target.steps is None:
        yield "The target came as a checkpoint and was not trained here."
    else:
        yield (
            f"The target ({report.target.family}, {count(report.target.parameters)} parameters) was trained on "
            f"{_size(target)}{_seeded(report.provenance.seeds.get('training'))}: {count(target.steps)} optimizer steps "
            f"in {count(target.epochs)} epochs, {duration(target.seconds)}."
        )
    yield f"SHA-256 of its checkpoint: {report.target.checkpoint_sha256}."


def _size(model: TrainedModel) -> str:
    hours = "" if not model.hours else f" ({count(model.hours)} h)"
    return f"{count(model.n_utterances)} recordings of {count(model.n_speakers)} speakers{hours}"


def _fleet(report: AuditReport) -> Iterator[str]:
    if report.fleet:
        yield f"{count(report.fleet.n_shadows)} shadow models were trained like the target."
        yield POOLS[report.fleet.pool]


def _questions(report: AuditReport) -> Iterator[str]:
    counted = [attack.queries for attack in report.attacks if attack.queries is not None]
    if not report.attacks:
        return
    if counted:
        low, high = min(counted), max(counted)
        times = count(low) if low == high else f"{count(low)} to {count(high)}"
        yield (
            f"An attack gave the target {times} waveform{'' if high == 1 else 's'} for each recording that it asked "
            "about: the recording itself, its copies under other masks, and what an attack makes of it."
        )
    if len(counted) < len(report.attacks):
        yield f"For {count(len(report.attacks) - len(counted))} of the attacks the queries were not counted."


def _controls(report: AuditReport) -> Iterator[str]:
    names = [control.name for control in report.controls]
    if any(name.startswith("blind") for name in names):
        yield (
            "The blind control is a classifier on durations, levels, spectra and file formats, fitted and judged on "
            "different speakers; it never saw a model."
        )
    if any(name.startswith("untrained_") for name in names):
        yield "Untrained: every attack was repeated on the same architecture with fresh weights."
    if any(name.startswith("wrong_model_") for name in names):
        yield "Wrong model: every attack was repeated on a model that was trained on neither side."
    elif report.attacks:
        yield "There was no wrong-model control."


def _judgement(report: AuditReport) -> Iterator[str]:
    defaults, settings = EvaluationSettings(), report.provenance.settings
    n_redraws = settings.get("n_redraws", defaults.n_redraws)
    n_bootstraps = settings.get("n_bootstraps", defaults.n_bootstraps)
    yield (
        f"p-values come from redrawing the split {count(n_redraws)} times by its own mechanism"
        f"{_seeded(report.provenance.seeds.get('evaluation'))}"
        + (", corrected over the attacks of one level and access (max-T)." if report.attacks else ".")
    )
    yield f"Intervals come from {count(n_bootstraps)} draws of speakers with replacement, with Student's t."
    if report.attacks:
        yield (
            "A leak takes a corrected p below .05 and, against the wrong model, a difference whose lower bound is "
            "above 0; where the blind control fails, nothing is concluded."
        )


def _machine(report: AuditReport) -> Iterator[str]:
    source = report.provenance
    if source.created:
        yield f"Scored {source.created}."
    if source.hardware:
        yield "; ".join(f"{key.replace('_', ' ')} {_plain(value)}" for key, value in source.hardware.items()) + "."
    if report.timings:
        told = (f"{stage.removesuffix('_s')} {duration(seconds)}" for stage, seconds in report.timings.items())
        yield f"Time: {', '.join(told)}."
    if source.versions:
        yield "Versions: " + ", ".join(f"{name} {version}" for name, version in source.versions.items()) + "."


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _seeded(seed: object) -> str:
    return "" if seed is None else f" (seed {seed})"
