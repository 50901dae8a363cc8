"""Probe a model during training without side effects."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import lightning as L
import torch
from lightning.pytorch.utilities.seed import isolate_rng

from lightning_mia.audit.monitor.leakage import ChallengeSet
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import Resources, SignalGroup
from lightning_mia.signals.runner.loop import batches, full_float32, measure_batch
from lightning_mia.signals.runner.run import merge
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.signals.table import Signals


@contextmanager
def evaluation_mode(model: SpeechModel) -> Iterator[None]:
    """Evaluate a model in float32 without gradients, then restore everything.

    This restores the global random generators, the mode of every module and torch's global flags.
    """
    modes = {module: module.training for module in model.modules()}
    with isolate_rng(), torch.no_grad(), torch.autocast(model.device.type, enabled=False), full_float32():
        try:
            model.eval()
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode


def probe_online(
    model: SpeechModel,
    groups: Sequence[SignalGroup],
    challenge: ChallengeSet,
    settings: ProbeSettings,
    trainer: L.Trainer,
) -> Signals:
    """Measure the model's current signals, the same on every process.

    Args:
        model: the model in training.
        groups: signal groups, the one with pooled vectors first.
        challenge: recordings to query.
        settings: batches and workers.
        trainer: the Trainer whose processes share the batches.
    """
    with evaluation_mode(model):
        first, *others = [
            _probe_group(model, group, challenge, settings, trainer) for group in groups if group.supports(model)
        ]
    return first.with_groups(others)


def _probe_group(
    model: SpeechModel, group: SignalGroup, challenge: ChallengeSet, settings: ProbeSettings, trainer: L.Trainer
) -> Signals:
    measure = group.prepare(model, Resources(challenge.auxiliary, settings.batch_seconds))
    loop = batches(
        challenge.recordings,
        settings.batch_seconds,
        model.device,
        settings.num_workers,
        trainer.global_rank,
        trainer.world_size,
    )
    parts = [measure_batch(model, measure, batch) for batch in loop]
    if trainer.world_size > 1:
        gathered: list[list[Signals]] = [[] for _ in range(trainer.world_size)]
        torch.distributed.all_gather_object(gathered, parts)
        parts = [part for process_parts in gathered for part in process_parts]
    return merge(parts, challenge.recordings.ids)
