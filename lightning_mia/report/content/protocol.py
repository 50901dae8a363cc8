"""Protocol of a run in words."""

from collections.abc import Iterator

from lightning_mia.evaluation.reasons import BLIND_KINDS
from lightning_mia.evaluation.scores import ACCESSES
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.report.audit_report import AuditReport, TrainedModel
from lightning_mia.report.content.numbers import count, duration
from lightning_mia.report.content.wording import (
    ASSUMPTIONS,
    FACT_NAMES,
    POOL_DESCRIPTIONS,
    TARGETS_DESCRIPTIONS,
    TRAINED_ELSEWHERE,
)

Paragraph = tuple[str, str]  # heading and text


def protocol(report: AuditReport) -> tuple[Paragraph, ...]:
    """Return headings and paragraphs, omitting unknown facts."""
    parts = (
        ("Members", _members(report)),
        ("Training", _training(report)),
        ("Shadow models", _shadow_models(report)),
        ("Queries", _queries(report)),
        ("Controls", _controls(report)),
        ("Evaluation", _evaluation(report)),
        ("Hardware and runtime", _hardware(report)),
    )
    paragraphs = ((heading, " ".join(sentences)) for heading, sentences in parts)
    return tuple((heading, text) for heading, text in paragraphs if text)


def limits(report: AuditReport) -> tuple[str, ...]:
    """Return the limits of this run's verdict, a sentence each."""
    if report.is_blind_check:
        return ()
    accesses: dict[str, list[str]] = {}
    for attack in report.attacks:
        if attack.access not in accesses.setdefault(attack.level, []):
            accesses[attack.level].append(attack.access)
    tested = "; ".join(
        f"{level} level ({', '.join(sorted(names, key=ACCESSES.index))})" for level, names in accesses.items()
    )
    sentences = [f"Tested: {tested}. Other levels and accesses were not tested."] if tested else []
    units = "recordings" if report.split.level == "utterance" else "speakers"
    of_speakers = f" of {count(report.split.n_speakers)} speakers" if units == "recordings" else ""
    sentences.append(f"Evaluated on {count(report.split.n_members + report.split.n_nonmembers)} {units}{of_speakers}.")
    sentences.append(
        "A successful attack is evidence about these members as a group; it proves nothing about a single recording or "
        "speaker (arXiv 2409.19798)."
    )
    return tuple(sentences)


def _members(report: AuditReport) -> Iterator[str]:
    split = report.split
    unit = "recording" if split.level == "utterance" else "speaker"
    if split.drawn:
        seed = report.provenance.seeds.get("split")
        yield f"Members were {split.origin}{_seeded(seed)}, {unit} by {unit}."
        if split.inclusion == "independent":
            yield f"A fair coin decided for each {unit}."
        if split.n_strata is not None and split.n_strata > 1:
            yield f"Half of each of {count(split.n_strata)} strata became members" + (
                "; a stratum holds the recordings of one speaker, or of several speakers with few recordings each."
                if unit == "recording"
                else "."
            )
    else:
        yield "Membership labels were supplied by the user."
        yield from (ASSUMPTIONS[kind] for kind in split.assignment)
    yield (
        f"Evaluated: {count(split.n_members)} member and {count(split.n_nonmembers)} non-member {unit}s"
        f"{f' of {count(split.n_speakers)} speakers' if unit == 'recording' else ''}."
    )
    if split.n_held_back:
        yield (
            f"{count(split.n_held_back)} recordings of members were held back from training, so that speakers can be "
            "evaluated on recordings that the model was not trained on."
        )
    if split.n_siblings:
        yield (
            f"{count(split.n_siblings)} recordings are siblings: of the members' source, but not trained on. They are "
            "compared with the members, in a separate control."
        )
    if len(split.exposures) > 1:
        *numbers, last = (f"{count(times)}" for times in split.exposures)
        yield (
            f"Members are in an epoch {', '.join(numbers)} or {last} times: groups of equal size, drawn at random "
            "before membership."
        )
    if split.n_auxiliary:
        yield f"{count(split.n_auxiliary)} auxiliary recordings belong to no training set and are not evaluated."
    if split.n_background:
        yield (
            f"{count(split.n_background)} background recordings are in the training set of every model, and are not "
            "evaluated."
        )
    yield f"SHA-256 of the split: {split.sha256}."


def _training(report: AuditReport) -> Iterator[str]:
    target = next((model for model in report.provenance.models if model.name == "target"), None)
    if not report.target:
        return
    if target is None or target.steps is None:
        yield "The target is a user-supplied checkpoint; it was not trained here."
    else:
        yield (
            f"The target ({report.target.family}, {count(report.target.parameters)} parameters) was trained on "
            f"{_training_data(target)}{_seeded(report.provenance.seeds.get('training'))}: {count(target.steps)} "
            f"optimizer steps in {count(target.epochs)} epochs, {duration(target.seconds)}."
        )
    yield f"SHA-256 of its checkpoint: {report.target.checkpoint_sha256}."


def _training_data(model: TrainedModel) -> str:
    hours = "" if not model.hours else f" ({count(model.hours)} h)"
    return f"{count(model.n_utterances)} recordings of {count(model.n_speakers)} speakers{hours}"


def _shadow_models(report: AuditReport) -> Iterator[str]:
    if report.fleet:
        if report.fleet.pool == "references":
            n_models = report.fleet.n_shadows
            yield f"The target was compared with {count(n_models)} reference model{'' if n_models == 1 else 's'}."
        elif report.fleet.trained_elsewhere:
            yield f"{count(report.fleet.n_shadows)} shadow models are user-supplied checkpoints. {TRAINED_ELSEWHERE}"
        else:
            yield f"{count(report.fleet.n_shadows)} shadow models were trained like the target."
        yield POOL_DESCRIPTIONS[report.fleet.pool]
        if report.fleet.targets:
            yield TARGETS_DESCRIPTIONS[report.fleet.targets]


def _queries(report: AuditReport) -> Iterator[str]:
    counted = [attack.queries for attack in report.attacks if attack.queries is not None]
    if not report.attacks:
        return
    if counted:
        low, high = min(counted), max(counted)
        number = count(low) if low == high else f"{count(low)} to {count(high)}"
        yield (
            f"Each attack submitted {number} waveform{'' if high == 1 else 's'} per recording to the target: the "
            "recording itself, repeated if several masks were drawn, and variants of it made by the attack."
        )
    if len(counted) < len(report.attacks):
        yield f"The queries of {count(len(report.attacks) - len(counted))} attacks were not counted."


def _controls(report: AuditReport) -> Iterator[str]:
    names = [control.name for control in report.controls]
    if any(name.startswith("blind") for name in names):
        yield (
            "The blind baseline is a classifier on durations, levels, spectra and file formats, fitted and evaluated "
            "on different speakers; it uses no model."
        )
    kinds = [description for kind, description in BLIND_KINDS.items() if f"blind_{kind}" in names]
    if kinds:
        yield f"Further blind classifiers use {'; '.join(kinds)}. Their p-values are corrected for each other (max-T)."
    if any(name.startswith("untrained_") for name in names):
        yield "Untrained: every attack was repeated on the same architecture with fresh weights."
    if any(name.startswith("wrong_model_") for name in names):
        background = ", but on the background" if report.split.n_background else ""
        yield (
            f"Wrong model: every attack was repeated on a model trained on neither members nor non-members{background}."
        )
    elif report.attacks:
        yield "There was no wrong-model control."


def _evaluation(report: AuditReport) -> Iterator[str]:
    defaults, settings = EvaluationSettings(), report.provenance.settings
    n_redraws = settings.get("n_redraws", defaults.n_redraws)
    n_bootstraps = settings.get("n_bootstraps", defaults.n_bootstraps)
    if report.split.drawn:
        mechanism = "by the mechanism that drew it"
    elif report.split.assignment:
        mechanism = "under the assumptions stated about its members"
    else:  # a file of an earlier version
        mechanism = (
            "that assume random labels for whole speakers or, within a speaker who has both labels, for recordings"
        )
    yield (
        f"p-values come from {count(n_redraws)} redraws of the split {mechanism}"
        f"{_seeded(report.provenance.seeds.get('evaluation'))}, or from all other labellings if there are fewer"
        + (
            ", corrected over the attacks of one question and access (max-T), and for the overall verdict over all of "
            "these families (Holm)."
            if report.attacks
            else "."
        )
    )
    yield (
        f"Intervals of AUROCs come from {count(n_bootstraps)} bootstrap draws of speakers, with Student's t; if every "
        "speaker has one unit, or the AUROC is 0 or 1, they are Newcombe's."
    )
    if report.attacks:
        yield " ".join(_conditions(report)).replace(" .", ".")


def _conditions(report: AuditReport) -> Iterator[str]:
    """List the conditions of a leak that apply to this run."""
    yield "A leak requires a corrected p below 0.05"
    if any(attack.versus_wrong_model for attack in report.attacks):
        yield (
            "and an AUROC further from 0.5 than on the wrong model, by a lower bound that holds for all attacks of a "
            "family at once (max-T over bootstrap draws of speakers)"
        )
    if any(attack.versus_siblings for attack in report.attacks):
        yield "and a corrected p below 0.05 against siblings"
    yield (
        "."
        if report.split.drawn or any(attack.versus_wrong_model for attack in report.attacks)
        else ("and a wrong model, which was not available.")
    )
    yield "If the blind baseline separates members from non-members, no conclusion is drawn."


def _hardware(report: AuditReport) -> Iterator[str]:
    source = report.provenance
    if source.created:
        yield f"Scored {source.created}."
    if source.hardware:
        facts = (f"{FACT_NAMES.get(key, key)} {_text(value)}" for key, value in source.hardware.items())
        yield f"Hardware: {'; '.join(facts)}."
    if report.timings:
        stages = (f"{FACT_NAMES.get(stage, stage)} {duration(seconds)}" for stage, seconds in report.timings.items())
        yield f"Runtime: {', '.join(stages)}."
    if source.versions:
        yield "Versions: " + ", ".join(f"{name} {version}" for name, version in source.versions.items()) + "."


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _seeded(seed: object) -> str:
    return "" if seed is None else f" (seed {seed})"
