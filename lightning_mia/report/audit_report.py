"""Everything that one run has to say: what the results file holds and the page shows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lightning_mia.evaluation.dataset_inference import DatasetInference
from lightning_mia.evaluation.privacy import Privacy
from lightning_mia.evaluation.results import AttackResult, Verdict
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.slices import Slice
from lightning_mia.evaluation.speaker_risk import SpeakerRisks
from lightning_mia.evaluation.utility import Utility
from lightning_mia.utilities.errors import list_first

Pool = Literal["challenge", "auxiliary"]


@dataclass(frozen=True)
class FleetSummary:
    """Shadow models, each trained like the target. None where a figure is not known.

    Attributes:
        n_shadows: how many there are.
        pool: whose halves they were trained on: of the challenge set, or of a pool apart from it.
        n_utterances: that each was trained on.
        epochs: of each.
        steps: of the optimizer, of each.
        seconds: of all trainings together.
        health: figure of the training, such as its loss, to its smallest and its largest last value over the fleet.
        n_collapsed: models whose outputs became the same for every input.
    """

    n_shadows: int
    pool: Pool = "challenge"
    n_utterances: int | None = None
    epochs: float | None = None
    steps: int | None = None
    seconds: float | None = None
    health: dict[str, tuple[float, ...]] = field(default_factory=dict)
    n_collapsed: int = 0


def summarise_fleet(records: Mapping[str, Mapping[str, Any]], pool: Pool) -> FleetSummary:
    """Sum up what the trainings of a fleet recorded.

    Args:
        records: shadow model to its record: `seconds`, `epochs`, `steps`, `utterances`, `health` (figure to first and
            last value), `collapse` (empty where it did not). Sizes are the same for all, or the fleet is none.
        pool: what they were trained on.

    >>> record = {"seconds": 2.0, "epochs": 3, "steps": 9, "utterances": 5, "health": {"loss": [4.0, 2.5]}}
    >>> fleet = summarise_fleet({"000": record, "001": {**record, "health": {"loss": [4.1, 2.25]}}}, "challenge")
    >>> fleet.seconds, fleet.health
    (4.0, {'loss': (2.25, 2.5)})
    """
    all_ = list(records.values())
    last = [{figure: values[-1] for figure, values in record.get("health", {}).items()} for record in all_]
    figures = [figure for figure in last[0] if all(figure in of_model for of_model in last)]
    return FleetSummary(
        n_shadows=len(all_),
        pool=pool,
        n_utterances=all_[0]["utterances"],
        epochs=all_[0]["epochs"],
        steps=all_[0]["steps"],
        seconds=round(sum(float(record["seconds"]) for record in all_), 3),
        health={figure: (min(one[figure] for one in last), max(one[figure] for one in last)) for figure in figures},
        n_collapsed=sum(bool(record.get("collapse")) for record in all_),
    )


@dataclass(frozen=True)
class Target:
    """The model that is judged.

    Attributes:
        family: such as "tera" or "hubert".
        checkpoint_sha256: of the checkpoint's bytes.
        parameters: how many it has.
    """

    family: str
    checkpoint_sha256: str
    parameters: int


@dataclass(frozen=True)
class SplitSummary:
    """The challenge set and how its labels came about.

    Attributes:
        level: "utterance" or "speaker": the unit of the design.
        sha256: of the split.
        n_members: member units.
        n_nonmembers: non-member units.
        n_speakers: speakers of either side.
        drawn: True where this tool drew the split at random, False where the user brought it.
        n_trained: recordings that the target was trained on; None where it is not known, as in files of earlier
            versions.
        n_held_back: recordings of member units that it was not trained on; None likewise.
        n_auxiliary: recordings of the adversary's own; None likewise.
        n_strata: sets of units that the labels were drawn within; None likewise.
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


@dataclass(frozen=True)
class TrainedModel:
    """What one model of the run was trained on. None where a figure does not apply or is not known.

    Attributes:
        name: such as "target", "wrong model" or "untrained".
        trained_on: in words, such as "members" or "auxiliary recordings".
        n_utterances: utterances trained on.
        n_speakers: speakers trained on.
        hours: of audio.
        epochs: passes over the utterances.
        steps: of the optimizer.
        seconds: of training, wall clock.
        health: figure of the training, such as its loss, to its first and last logged values.
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
    """A figure that a paper reports for the same attack, to stand beside ours.

    Attributes:
        attack: name of the attack or control in this run.
        level: "utterance" or "speaker".
        advantage: as published.
        source: the paper, and where in it.
    """

    attack: str
    level: str
    advantage: float
    source: str


@dataclass(frozen=True)
class Exposure:
    """Positive control: the attacks on a model that has certainly been trained on half of the recordings asked about.

    Attributes:
        times: how many times each of them was trained on; 0 = the model as it arrived.
        seconds: of that training.
        results: one an attack.
    """

    times: int
    seconds: float
    results: tuple[AttackResult, ...]


@dataclass(frozen=True)
class SkippedRecording:
    """A recording left out by `on_bad_audio: skip`, and why."""

    id: str
    path: str
    reason: str


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from, and how to have them again. All values are JSON-like.

    Attributes:
        command: the command line that repeats the run.
        created: when the scores were computed, ISO 8601.
        settings: of the evaluation, such as the number of redraws; the whole config stands in `config_yaml`.
        seeds: by what they are the seeds of.
        hashes: SHA-256 of data, checkpoints and configs.
        versions: of Python and packages.
        hardware: processor, accelerator, memory.
        models: what was trained on what.
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
    """A judged unit; of a speaker, the means over the recordings that are judged.

    Attributes:
        level: "utterance" or "speaker".
        unit_id: as in `scores.csv`.
        duration_s: seconds.
        level_dbfs: root mean square of the samples, dB relative to full scale.
        gender: of the speaker; "" where it is not known.
        accent: of the speaker; "" where it is not known.
    """

    level: str
    unit_id: str
    duration_s: float
    level_dbfs: float
    gender: str = ""
    accent: str = ""


@dataclass(frozen=True)
class AuditReport:
    """The outcome of an audit, or of the blind check of a split alone (no target, no attacks).

    Results and scores are joined by (name, level): each result has its scores, and the pair occurs once.

    Attributes:
        target: None where only a split was checked.
        split: the challenge set.
        verdict: over all levels and accesses.
        attacks: their results.
        controls: their results.
        scores: of attacks and controls.
        blind_upper95: level to the one-sided 95 % upper bound of the blind control's AUROC.
        timings: stage, such as "fit_s", to seconds.
        provenance: where the numbers come from.
        skipped: recordings left out.
        config_yaml: every setting of the run.
        notes: what the reader should know besides, a sentence each.
        published: figures of a paper.
        exposures: of the positive control, where there is one; their scores are not kept.
        fleet: the shadow models, where there are some.
        dataset_inference: one p-value for all members together, by the scores of each attack.
        units: what is known of the judged units without a model; a table of its own, `units.csv`.
        slices: parts of the challenge set, by the attack that carries the verdict; None: not computed.
        speaker_risks: by the same attack, under pseudonyms; None: not computed.
        utility: what the target is good for; None: not measured.
        privacy: bounds on ε; None where neither utility was measured nor gradients were clipped for every recording.

    Raises:
        ValueError: results and scores do not join.
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

    def __post_init__(self) -> None:
        """Check that results and scores join."""
        results = Counter((result.name, result.level) for result in (*self.attacks, *self.controls))
        scores = Counter((scores.name, scores.level) for scores in self.scores)
        for what, counts in (("results", results), ("scores", scores)):
            twice = [" at ".join(key) for key, count in counts.items() if count > 1]
            if twice:
                raise ValueError(f"(name, level) occurs more than once among the {what}: {list_first(twice)}")
        alone = [" at ".join(key) for key in results.keys() ^ scores.keys()]
        if alone:
            raise ValueError(f"results without scores, or scores without a result: {list_first(sorted(alone))}")

    def scores_of(self, result: AttackResult) -> Scores:
        """The scores that `result` was computed from."""
        return next(s for s in self.scores if (s.name, s.level) == (result.name, result.level))

    def result(self, name: str, level: str) -> AttackResult | None:
        """The attack or control of this name and level, if there is one."""
        return next((one for one in (*self.attacks, *self.controls) if (one.name, one.level) == (name, level)), None)

    def blind(self, level: str) -> AttackResult | None:
        """The blind control at `level`, if there is one."""
        return self.result("blind", level)
