"""Provenance of a run: data, software versions, hardware."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd

from lightning_mia.audit.probing import ProbePlan
from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.evaluation import EvaluationSettings
from lightning_mia.report import Provenance, SkippedRecording, SplitSummary, TrainedModel, UnitFacts
from lightning_mia.signals.relearning import Relearning
from lightning_mia.signals.settings import MASKED_SECONDS, MAX_MASKS
from lightning_mia.splits import Split
from lightning_mia.splits.data_module import SplitCorpus
from lightning_mia.training.train import Trained
from lightning_mia.utilities.credentials import without_credentials
from lightning_mia.utilities.environment import hardware, other_versions, versions
from lightning_mia.utilities.errors import list_first

log = logging.getLogger(__name__)


def provenance(
    split: Split,
    audio: AudioCache,
    settings: EvaluationSettings,
    command: str,
    seeds: dict[str, Any] | None = None,
    hashes: dict[str, str] | None = None,
    models: tuple[TrainedModel, ...] = (),
) -> Provenance:
    """Collect seeds, hashes, versions and hardware for the report.

    Args:
        split: members and non-members.
        audio: decoded corpus.
        settings: evaluation settings.
        command: command that repeats the run.
        seeds: name → seed; the seed of the evaluation is added.
        hashes: name → SHA-256 of checkpoints; the hashes of split and data are added.
        models: training data of each model.
    """
    decoded = [name for name in split.table["id"] if name in audio.index.index]  # all, but for a background elsewhere
    return Provenance(
        command=without_credentials(command),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        settings=asdict(settings),
        seeds={**(seeds or {}), "evaluation": settings.seed},
        hashes={"split": split.sha256, "data": audio.data_hash(decoded), **(hashes or {})},
        versions=versions(),
        hardware=hardware(),
        models=models,
    )


def corpus_name(data: SplitCorpus) -> str:
    """Name the corpus for the report: its class and file, without folders."""
    if data.drawn:
        return Path(data.drawn.folder).name
    path = getattr(data.options.corpus, "path", None)
    return ", ".join(filter(None, [type(data.options.corpus).__name__, Path(str(path)).name if path else ""]))


def evaluated_ids(split: Split) -> list[str]:
    """List the recordings that may be evaluated, siblings included.

    These are all but the auxiliary and the background ones.
    """
    return list(split.table["id"][~split.table["role"].isin(["auxiliary", "background"])])


def summarise_split(split: Split) -> SplitSummary:
    """Count members, non-members and speakers for the report."""
    units = split.challenge(split.level).drop_duplicates("unit_id")
    n_members = int(units["member"].sum())
    return SplitSummary(
        level=split.level,
        sha256=split.sha256,
        n_members=n_members,
        n_nonmembers=len(units) - n_members,
        n_speakers=int(units["speaker"].nunique()),
        drawn=split.drawn,
        n_trained=len(split.training_ids()),
        n_held_back=int((split.table["role"] == "held_back").sum()),
        n_auxiliary=int((split.table["role"] == "auxiliary").sum()),
        n_strata=int(split.table.loc[split.table["stratum"] != "", "stratum"].nunique()),
        n_siblings=int((split.table["role"] == "sibling").sum()),
        assignment=split.assignment,
        n_background=len(split.background_ids()),
        exposures=tuple(sorted(set((split.unit_exposures(split.level) or {}).values()))),
        inclusion=split.inclusion,
    )


def unit_facts(split: Split, statistics: pd.DataFrame, speaker_facts: pd.DataFrame) -> tuple[UnitFacts, ...]:
    """Collect duration, level, gender and accent of evaluated units.

    Args:
        split: units to evaluate.
        statistics: statistics of the recordings, index = id, with `duration_s` and `rms_dbfs`.
        speaker_facts: `gender` and `accent` of each recording's speaker, index = id, "" if unknown.
    """
    facts = []
    for level in split.levels:
        rows = split.challenge(level)
        rows = rows.join(statistics[["duration_s", "rms_dbfs"]], on="id").join(speaker_facts, on="id")
        units = rows.groupby("unit_id", sort=True)
        means, first = units[["duration_s", "rms_dbfs"]].mean(), units[["gender", "accent"]].first()
        facts += [
            UnitFacts(level, str(unit), float(seconds), float(decibels), str(gender), str(accent))
            for unit, seconds, decibels, gender, accent in means.join(first).itertuples()
        ]
    return tuple(facts)


def describe_model(name: str, record: Mapping[str, Any], split: Split) -> TrainedModel:
    """Describe a model's training data and duration for the report.

    Args:
        name: "target", "wrong_model" or "untrained".
        record: training record; without `steps`, the model was trained elsewhere.
        split: members and non-members.
    """
    if "steps" not in record:
        training_data = "nothing" if name == "untrained" else "unknown: the checkpoint comes from elsewhere"
        return TrainedModel(name, training_data)
    trained_on = {"target": "members", "wrong_model": "auxiliary recordings", "untrained": "nothing"}[name]
    ids = {"target": split.training_ids(), "wrong_model": split.unevaluated_ids(), "untrained": []}[name]
    if ids and split.background_ids():
        has_others = len(ids) > len(split.background_ids())
        trained_on = f"{trained_on} and background" if has_others else "background"
    return TrainedModel(
        name=name,
        trained_on=trained_on,
        n_utterances=len(ids),
        n_speakers=int(split.table.set_index("id").loc[ids, "speaker"].nunique()),
        hours=record["hours"] if ids else 0.0,
        epochs=record["epochs"],
        steps=record["steps"],
        seconds=record["seconds"],
        health={figure: tuple(values) for figure, values in record.get("health", {}).items()},
    )


def version_notes(versions: Mapping[str, Iterable[Mapping[str, str]]]) -> list[str]:
    """Say which models were made with other package versions.

    Args:
        versions: name of a model → versions with which it was trained and probed.
    """
    models: dict[str, list[str]] = {}
    for name, made_with in versions.items():
        for difference in dict.fromkeys(difference for each in made_with for difference in other_versions(each)):
            models.setdefault(difference, []).append(name.replace("_", " "))
    notes = [
        f"Trained or probed with {difference} as now: {list_first(names)}. Numbers may differ from those of a single "
        "version."
        for difference, names in models.items()
    ]
    for note in notes:
        log.warning("%s", note)
    return notes


def mask_notes(plan: ProbePlan, target: Trained, chosen: bool) -> list[str]:
    """Report a number of masks below that for short recordings.

    Args:
        plan: how the target was probed.
        target: the target.
        chosen: whether the number follows from the length of the recordings.
    """
    masks = plan.settings.encoder_outputs.n_masks
    if not chosen or masks == MAX_MASKS or not target.model.has_pretext:
        return []
    return [
        f"Pretext scores are means over {masks} masks ({MASKED_SECONDS:g} s divided by the median length of the "
        "recordings in question), the same for every recording and model; probe.n_masks sets another number."
    ]


def relearning_notes(plan: ProbePlan, target: Trained) -> list[str]:
    """Report how copies of the target were trained further, and the cost.

    Args:
        plan: how the target was probed.
        target: the target.
    """
    records = plan.records("target", target.model, target.sha256)
    n_masks = plan.settings.encoder_outputs.n_masks if target.model.has_pretext else 1
    return [
        note
        for group in plan.groups
        if isinstance(group, Relearning) and (measured := records.get(group.prefix))
        for note in (*measured.get("notes", ()), *_cost(group.queries_with(n_masks), measured, target.record))
    ]


def _cost(queries: int, measured: Mapping[str, Any], trained: Mapping[str, Any]) -> list[str]:
    """Compare the cost of relearning with that of a shadow model.

    >>> _cost(66, {"processor_seconds": 6.2}, {"processor_seconds": 31.4})
    ['Relearning the target took 66 passes per recording and 6 s of processor time, less than one shadow model (31 s).']
    """
    if "processor_seconds" not in measured:  # an interruption has taken a part of the time with it
        return [f"Relearning the target took {queries} passes per recording."]
    seconds, of_training = measured["processor_seconds"], trained.get("processor_seconds")
    cost = f"Relearning the target took {queries} passes per recording and {seconds:.0f} s of processor time"
    if of_training is None:
        return [f"{cost}."]
    relation = "less than one shadow model" if seconds < of_training else "more than one shadow model"
    return [f"{cost}, {relation} ({of_training:.0f} s)."]


def skipped_recordings(audio: AudioCache) -> tuple[SkippedRecording, ...]:
    """List the recordings omitted by `on_bad_audio: skip`."""
    rows = audio.skipped[["id", "path", "reason"]].to_numpy(dtype=str)
    return tuple(SkippedRecording(*row) for row in rows.tolist())
