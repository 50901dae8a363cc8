"""Probe a model once, and never again."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import lightning as L
import numpy as np

from lightning_mia.corpora.loading.datasets import ProbeRecordings, Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.runner.module import Probe, SignalWriter
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.lightning import interruptible


def probe(
    model: SpeechModel,
    group: SignalGroup,
    queries: Recordings,
    auxiliary: Recordings,
    settings: ProbeSettings,
    path: Path,
    make_trainer: Callable[..., L.Trainer],
    device: str = "cpu",
    watchers: Sequence[L.Callback] = (),
) -> Signals:
    """One group of signals of a model for some utterances, from `path` where they are already there.

    An interrupted probe goes on from the shards it left beside `path`. All processes of a distributed run
    get the same signals.

    Args:
        model: the model that is asked.
        group: the questions.
        queries: the recordings that it is asked about.
        auxiliary: the adversary's own recordings, from which a group may learn about the model.
        settings: batches and workers.
        path: `.npz` file of the signals; its name must hold the hash of the model, data and settings.
        make_trainer: makes the Lightning Trainer that predicts, given `callbacks`.
        device: where the group learns about the model.
        watchers: callbacks that look on, and change nothing.

    Raises:
        InputError: the model gives a signal that is not a finite number.
    """
    ids = queries.ids
    if path.exists():
        return Signals.load(path).take(ids)
    shards = path.with_suffix(".shards")
    done = {utterance for part in _read(shards) for utterance in part.scalars.index}
    waiting = [utterance for utterance in ids if utterance not in done]
    trainer = make_trainer(callbacks=[SignalWriter(shards), *watchers])
    if waiting:
        recordings = ProbeRecordings(
            Recordings(queries.audio, waiting, queries.changes),
            batch_seconds=settings.batch_seconds,
            num_workers=settings.num_workers,
        )
        with interruptible(trainer):
            prepared = group.prepared(model.eval().to(device), auxiliary, settings.batch_seconds)
            trainer.predict(Probe(model, prepared), datamodule=recordings, return_predictions=False)
    problem = _finish(shards, ids, path) if trainer.is_global_zero else None
    if problem := trainer.strategy.broadcast(problem):  # or the other processes would wait for ever
        raise InputError(problem)
    return Signals.load(path).take(ids)


def _finish(shards: Path, ids: Sequence[str], path: Path) -> str | None:
    """Make the shards into one file; what is wrong with them, if anything."""
    try:
        signals = merge(_read(shards), ids)
        check_finite(signals, path)
        signals.save(path)
    except InputError as error:
        return str(error)
    shutil.rmtree(shards)
    return None


def _read(shards: Path) -> list[Signals]:
    return [Signals.load(shard) for shard in sorted(shards.glob("[!.]*.npz"))]


def merge(parts: Sequence[Signals], ids: Sequence[str]) -> Signals:
    """Join shards by utterance id; every utterance must be there exactly once."""
    signals = Signals.concatenate(parts)
    index = signals.scalars.index
    assert index.is_unique and set(index) == set(ids), "shards are not one row an utterance"
    return signals.take(ids)


def check_finite(signals: Signals, path: Path) -> None:
    """Refuse NaN and infinities, naming the model and the utterances.

    Raises:
        InputError: a signal is not finite.
    """
    bad = ~(np.isfinite(signals.scalars).all(axis=1) & np.isfinite(signals.pooled).all(axis=(1, 2)))
    if bad.any():
        named = list_first([str(utterance) for utterance in signals.scalars.index[bad]])
        raise InputError(f"Model {path.stem} gives signals that are not finite for {bad.sum()} utterances: {named}")
