"""Content of the report of an audit."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from lightning_mia.evaluation.dataset_inference import DatasetInference
from lightning_mia.evaluation.privacy import EpsilonBound, Privacy
from lightning_mia.evaluation.results import AttackResult, Exposure, Verdict
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.slices import Slice
from lightning_mia.evaluation.speaker_risk import SpeakerRisks
from lightning_mia.evaluation.utility import Utility
from lightning_mia.utilities.errors import list_first
from lightning_mia.utilities.ranges import Range, check_fields

Pool = Literal["challenge", "auxiliary", "references"]
Targets = Literal["own", "victim"]


@dataclass(frozen=True)
class FleetSummary:
    """Summary of the shadow models; None = unknown.

    Attributes:
        n_shadows: number of shadow models, or of reference models.
        pool: "challenge" if trained on halves of the challenge set, "auxiliary" if on halves of a separate pool,
            "references" if trained elsewhere, on none of the challenge set.
        n_utterances: recordings that each was trained on.
        epochs: of each.
        steps: optimizer steps of each.
        seconds: training time of all of them.
        health: training metric, such as the loss → lowest and highest last value over the shadow models.
        n_collapsed: models with the same outputs for every input.
        targets: "victim" if their learned targets (HuBERT's clusters) are copies of the target's, "own" if each fitted
            its own; None if the family has none.
        trained_elsewhere: whether they are checkpoints that the user supplied.

    Example:
        >>> FleetSummary(n_shadows=16, health={"loss": (2.9, 3.4)}).health["loss"]
        (2.9, 3.4)
    """

    n_shadows: int
    pool: Pool = "challenge"
    n_utterances: int | None = None
    epochs: float | None = None
    steps: int | None = None
    seconds: float | None = None
    health: dict[str, tuple[float, ...]] = field(default_factory=dict)
    n_collapsed: int = 0
    targets: Targets | None = None
    trained_elsewhere: bool = False


def summarise_fleet(
    records: Mapping[str, Mapping[str, Any]], pool: Pool, targets: Targets | None = None
) -> FleetSummary:
    """Summarise the training records of the shadow models.

    Args:
        records: shadow model → record with `seconds`, `epochs`, `steps`, `utterances`, `health` (metric → first and
            last value) and `collapse` (empty if it did not collapse). Epochs and steps are the same for
            all; the mean number of utterances is given, since coins may decide on them. The record of a model that was
            trained elsewhere has none of these.
        pool: recordings that they were trained on.
        targets: origin of their learned targets.

    >>> record = {"seconds": 2.0, "epochs": 3, "steps": 9, "utterances": 5, "health": {"loss": [4.0, 2.5]}}
    >>> fleet = summarise_fleet({"000": record, "001": {**record, "health": {"loss": [4.1, 2.25]}}}, "challenge")
    >>> fleet.seconds, fleet.health
    (4.0, {'loss': (2.25, 2.5)})
    """
    first, *_ = trainings = list(records.values())
    if "steps" not in first:
        return FleetSummary(len(trainings), pool, trained_elsewhere=True)
    health = [{metric: values[-1] for metric, values in record.get("health", {}).items()} for record in trainings]
    by_metric = {
        metric: [last[metric] for last in health] for metric in health[0] if all(metric in last for last in health)
    }
    return FleetSummary(
        n_shadows=len(trainings),
        pool=pool,
        n_utterances=round(sum(record["utterances"] for record in trainings) / len(trainings)),
        epochs=first["epochs"],
        steps=first["steps"],
        seconds=round(sum(float(record["seconds"]) for record in trainings), 3),
        health={metric: (min(values), max(values)) for metric, values in by_metric.items()},
        n_collapsed=sum(bool(record.get("collapse")) for record in trainings),
        targets=targets,
    )


@dataclass(frozen=True)
class Target:
    """The target model.

    Attributes:
        family: such as "tera" or "hubert".
        checkpoint_sha256: SHA-256 of the checkpoint file.
        parameters: number of parameters.

    Example:
        >>> Target("tera", checkpoint_sha256="0" * 64, parameters=109_184).family
        'tera'
    """

    family: str
    checkpoint_sha256: str
    parameters: int


@dataclass(frozen=True)
class SplitSummary:
    """The challenge set and the origin of its labels.

    Attributes:
        level: unit of the design, "utterance" or "speaker".
        sha256: of the split.
        n_members: member units.
        n_nonmembers: non-member units.
        n_speakers: speakers of members and non-members.
        drawn: True if drawn at random, False if supplied by the user.
        n_trained: recordings that the target was trained on; None in files of earlier versions.
        n_held_back: recordings of member units that it was not trained on; None in files of earlier versions.
        n_auxiliary: auxiliary recordings; None in files of earlier versions.
        n_strata: strata within which the labels were drawn; None in files of earlier versions.
        n_siblings: recordings of the members' source that the target was not trained on, evaluated as a control; None
            in files of earlier versions.
        assignment: what user-supplied labels are assumed to be assigned to: "speakers", "sessions", "recordings within
            sessions", "recordings" (of a speaker whose sessions are unknown); empty if drawn, or in files of earlier
            versions.
        n_background: recordings that every model was trained on, and that are not evaluated; None in files of earlier
            versions.
        exposures: how often groups of members are in an epoch; empty if all are once.
        inclusion: "balanced" if half of every stratum was drawn, "independent" if a coin decided for each unit.
        drawn_by_user: the user states that the members were drawn at random; this tool has not drawn them.

    Example:
        >>> split = SplitSummary("utterance", "0" * 64, n_members=10, n_nonmembers=10, n_speakers=4, drawn=True)
        >>> split.n_members + split.n_nonmembers
        20
    """

    level: str
    sha256: str
    n_members: int
    n_nonmembers: int
    n_speakers: int
    drawn: bool
    n_trained: int | None = None
    n_held_back: int | None = None
    n_auxiliary: int | None = None
    n_strata: int | None = None
    n_siblings: int | None = None
    assignment: tuple[str, ...] = ()
    n_background: int | None = None
    exposures: tuple[int, ...] = ()
    inclusion: str = "balanced"
    drawn_by_user: bool = False

    @property
    def origin(self) -> str:
        """Say where the labels come from."""
        if not self.drawn:
            return "supplied by the user"
        return "drawn at random, as the user states" if self.drawn_by_user else "drawn at random by this tool"


@dataclass(frozen=True)
class TrainedModel:
    """Training of one model; None = unknown or not applicable.

    Attributes:
        name: such as "target", "wrong_model" or "untrained".
        trained_on: in words, such as "members" or "auxiliary recordings".
        n_utterances: recordings trained on.
        n_speakers: speakers trained on.
        hours: of audio.
        epochs: passes over the recordings.
        steps: optimizer steps.
        seconds: wall-clock time of the training.
        health: training metric, such as the loss → first and last logged value.

    Example:
        >>> model = TrainedModel("target", "members", n_utterances=200, epochs=60.0, health={"loss": (4.6, 2.9)})
        >>> model.health["loss"][-1]
        2.9
    """

    name: str
    trained_on: str
    n_utterances: int | None = None
    n_speakers: int | None = None
    hours: float | None = None
    epochs: float | None = None
    steps: int | None = None
    seconds: float | None = None
    health: dict[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class PublishedFigure:
    """Published advantage of an attack, for comparison.

    Attributes:
        attack: name of the attack or control in this run.
        level: "utterance" or "speaker".
        advantage: as published.
        source: paper and table.

    Example:
        >>> figure = PublishedFigure("utterance_similarity", "utterance", 0.19, "a paper, table 1")
        >>> figure.advantage
        0.19
    """

    attack: str
    level: str
    advantage: Annotated[float, Range(-1, 1)]
    source: str

    def __post_init__(self) -> None:
        """Validate the figure."""
        check_fields(self, "published.")


@dataclass(frozen=True)
class SkippedRecording:
    """A recording excluded by `on_bad_audio: skip`.

    Attributes:
        id: of the recording.
        path: of its file.
        reason: why it was excluded.

    Example:
        >>> SkippedRecording("a1", "a1.wav", "silent: every sample is 0").reason
        'silent: every sample is 0'
    """

    id: str
    path: str
    reason: str


@dataclass(frozen=True)
class Provenance:
    """Origin of the results and how to reproduce them.

    Attributes:
        command: command line that repeats the run.
        created: time of scoring, ISO 8601.
        settings: of the evaluation, such as the number of redraws.
        seeds: purpose → seed.
        hashes: SHA-256 of data, checkpoints and configs.
        versions: of Python and packages.
        hardware: processor, accelerator, memory.
        models: training of target and controls.

    Example:
        >>> Provenance(seeds={"split": 0}, versions={"torch": "2.14.1"}).versions["torch"]
        '2.14.1'
    """

    command: str = ""
    created: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    seeds: dict[str, Any] = field(default_factory=dict)
    hashes: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)
    models: tuple[TrainedModel, ...] = ()


@dataclass(frozen=True)
class UnitFacts:
    """Model-free properties of a unit; for speakers, means over recordings.

    Attributes:
        level: "utterance" or "speaker".
        unit_id: as in `scores.csv`.
        duration_s: duration (seconds).
        level_dbfs: root mean square of the samples (dB relative to full scale).
        gender: of the speaker; "" = unknown.
        accent: of the speaker; "" = unknown.

    Example:
        >>> UnitFacts("utterance", "a1", duration_s=2.5, level_dbfs=-26.0, gender="female").duration_s
        2.5
    """

    level: str
    unit_id: str
    duration_s: float
    level_dbfs: float
    gender: str = ""
    accent: str = ""


@dataclass(frozen=True)
class Suggestion:
    """What would make another audit of this model say more.

    Attributes:
        text: why, in one or more sentences.
        option: what to append to the command of this run; empty: no option does it.

    Example:
        >>> Suggestion("No positive control was run.", "--positive_control").option
        '--positive_control'
    """

    text: str
    option: str = ""


@dataclass(frozen=True)
class AuditReport:
    """Outcome of an audit or of a blind check.

    Results and scores are matched by (name, level), which is unique.

    Attributes:
        target: the target model; None in a blind check, and if only signals are known.
        split: the challenge set.
        verdict: over all levels and accesses.
        attacks: results of the attacks.
        controls: results of the controls.
        scores: of attacks and controls.
        blind_upper95: level → one-sided 95 % upper bound of the blind baseline's AUROC.
        timings: stage, such as "fit_s" → seconds.
        provenance: origin of the results.
        skipped: excluded recordings.
        config_yaml: all settings of the run.
        notes: further remarks, a sentence each.
        published: published figures for comparison.
        exposures: of the positive control; their scores are not kept.
        fleet: summary of the shadow models; None without shadow models.
        dataset_inference: one p-value per attack for all members together.
        units: model-free properties of the evaluated units (`units.csv`).
        slices: results of the decisive attack on parts of the challenge set; None = not computed.
        speaker_risks: results of the decisive attack per speaker, under pseudonyms; None = not computed.
        utility: of the target; None = not measured.
        privacy: bounds on ε; None unless utility was measured or per-example gradients were clipped.
        epsilon_bounds: every attack's lower bound on ε; empty if the split is user-supplied, or in files of earlier
            versions.
        suggestions: what would make another audit of this model say more.
        title: title given by the user; empty: none.
        by: author or department given by the user; empty: none.
        corpus: name of the corpus, without folders; empty in files of earlier versions.

    Raises:
        ValueError: a result has no scores, scores have no result, or one occurs twice.

    Example:
        >>> from lightning_mia.evaluation.results import Verdict
        >>> split = SplitSummary("utterance", "0" * 64, n_members=10, n_nonmembers=10, n_speakers=4, drawn=True)
        >>> verdict = Verdict("not_assessable", "too few speakers", ())
        >>> report = AuditReport(target=None, split=split, verdict=verdict, attacks=(), controls=(), scores=())
        >>> report.verdict.status
        'not_assessable'
    """

    target: Target | None
    split: SplitSummary
    verdict: Verdict
    attacks: tuple[AttackResult, ...]
    controls: tuple[AttackResult, ...]
    scores: tuple[Scores, ...]
    blind_upper95: dict[str, float] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    skipped: tuple[SkippedRecording, ...] = ()
    config_yaml: str = ""
    notes: tuple[str, ...] = ()
    published: tuple[PublishedFigure, ...] = ()
    exposures: tuple[Exposure, ...] = ()
    fleet: FleetSummary | None = None
    dataset_inference: tuple[DatasetInference, ...] = ()
    units: tuple[UnitFacts, ...] = ()
    slices: tuple[Slice, ...] | None = None
    speaker_risks: SpeakerRisks | None = None
    utility: Utility | None = None
    privacy: Privacy | None = None
    epsilon_bounds: tuple[EpsilonBound, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    title: str = ""
    by: str = ""
    corpus: str = ""

    def __post_init__(self) -> None:
        """Check that results and scores match."""
        results = Counter((result.name, result.level) for result in (*self.attacks, *self.controls))
        scores = Counter((scores.name, scores.level) for scores in self.scores)
        for kind, counts in (("results", results), ("scores", scores)):
            repeated = [" at ".join(key) for key, count in counts.items() if count > 1]
            if repeated:
                raise ValueError(f"(name, level) occurs more than once among the {kind}: {list_first(repeated)}")
        unmatched = [" at ".join(key) for key in results.keys() ^ scores.keys()]
        if unmatched:
            raise ValueError(f"results without scores, or scores without a result: {list_first(sorted(unmatched))}")

    @property
    def is_blind_check(self) -> bool:
        """Whether a split was tested without any model."""
        return self.target is None and not self.attacks

    def scores_of(self, result: AttackResult) -> Scores:
        """Return the scores that `result` was computed from."""
        return next(scores for scores in self.scores if (scores.name, scores.level) == (result.name, result.level))

    def result(self, name: str, level: str) -> AttackResult | None:
        """Return the attack or control, or None."""
        results = (*self.attacks, *self.controls)
        return next((result for result in results if (result.name, result.level) == (name, level)), None)

    def blind(self, level: str) -> AttackResult | None:
        """Return the blind baseline at `level`, or None."""
        return self.result("blind", level)
