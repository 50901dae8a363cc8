"""Probe a model and cache its signals."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np

from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import HasNotes, Resources, SignalGroup
from lightning_mia.signals.runner.module import MeasuringWork, Probe, ProbeRecordings, SignalWriter
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.lightning import interruptible


def probe(
    model: SpeechModel,
    group: SignalGroup,
    queries: Recordings,
    resources: Resources,
    settings: ProbeSettings,
    path: Path,
    make_trainer: Callable[..., L.Trainer],
    device: str = "cpu",
    title: str = "",
) -> Signals:
    """Measure one group of signals, or load it from `path`.

    An interrupted probe continues from the shards that it left next to `path`. All processes of a distributed run
    return the same signals.

    Args:
        model: the model.
        group: the signals.
        queries: recordings to probe.
        resources: what a group may be fitted with, and what takes the work done.
        settings: batches and workers.
        path: `.npz` file of the signals; its name must contain the hash of model, data and settings.
        make_trainer: creates the Lightning Trainer that predicts, given `callbacks`.
        device: device on which the group is prepared.
        title: what is done, for the progress bar.

    Raises:
        InputError: a signal is not finite.
    """
    ids = queries.ids
    if path.exists():
        return Signals.load(path).take(ids)
    shards, start = _shards(path), time.process_time()
    remaining, progress = unmeasured(path, queries), resources.progress
    record: dict[str, Any] = {}
    work = group.work(model, remaining, resources)
    trainer = make_trainer(callbacks=[SignalWriter(shards), MeasuringWork(progress, work.measuring)])
    if remaining:
        recordings = ProbeRecordings(remaining, batch_seconds=settings.batch_seconds, num_workers=settings.num_workers)
        with interruptible(trainer):
            with progress.task(title, work.preparing):
                measure = group.prepare(model.eval().to(device), resources)
            with progress.task(title, work.measuring):
                trainer.predict(Probe(model, measure), datamodule=recordings, return_predictions=False)
        record["notes"] = list(measure.notes) if isinstance(measure, HasNotes) else []
        if len(remaining) == len(ids):  # else an interruption has taken a part of the time with it
            record["processor_seconds"] = round(time.process_time() - start, 3)
    problem = _finish(shards, ids, path, record, group.trains_further) if trainer.is_global_zero else None
    if problem := trainer.strategy.broadcast(problem):  # all processes raise, or the others would wait forever
        raise InputError(problem)
    return Signals.load(path).take(ids)


def unmeasured(path: Path, queries: Recordings) -> Recordings:
    """Return the recordings whose signals have yet to be measured.

    Args:
        path: file of the signals.
        queries: all recordings.
    """
    if path.exists():
        return queries.take([])
    done = {utterance for part in _read(_shards(path)) for utterance in part.scalars.index}
    return queries.take([utterance for utterance in queries.ids if utterance not in done])


def further_training_folder(path: Path) -> Path:
    """Return the folder of copies that a group trains further, until it is measured.

    Args:
        path: file of the signals.
    """
    return path.with_suffix(".training")


def merge(parts: Sequence[Signals], ids: Sequence[str]) -> Signals:
    """Join shards by utterance id.

    Every id must occur exactly once.
    """
    signals = Signals.concatenate(parts)
    index = signals.scalars.index
    assert index.is_unique and set(index) == set(ids), "shards do not have exactly one row per id"
    return signals.take(ids)


def check_finite(signals: Signals, path: Path, may_lack: bool = False) -> None:
    """Refuse NaN and infinite signals.

    Args:
        signals: the signals.
        path: their file, whose name begins with that of the model.
        may_lack: NaN means that a signal is not defined for a recording.

    Raises:
        InputError: a signal is not finite; the message names the model and the recordings.
    """
    defined = np.isfinite(signals.scalars) | (may_lack & signals.scalars.isna())
    bad = ~(defined.all(axis=1) & np.isfinite(signals.pooled).all(axis=(1, 2)))
    if bad.any():
        named = list_first([str(utterance) for utterance in signals.scalars.index[bad]])
        raise InputError(f"Model {path.stem} gives signals that are not finite for {bad.sum()} recordings: {named}")


def _finish(shards: Path, ids: Sequence[str], path: Path, record: Mapping[str, Any], may_lack: bool) -> str | None:
    """Merge the shards into one file; return any error."""
    try:
        signals = merge(_read(shards), ids)
        check_finite(signals, path, may_lack)
        signals.save(path, record)
    except InputError as error:
        return str(error)
    shutil.rmtree(shards)
    shutil.rmtree(further_training_folder(path), ignore_errors=True)
    return None


def _shards(path: Path) -> Path:
    return path.with_suffix(".shards")


def _read(shards: Path) -> list[Signals]:
    return [Signals.load(shard) for shard in sorted(shards.glob("[!.]*.npz"))]
