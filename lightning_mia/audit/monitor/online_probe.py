"""Ask a model in the middle of its training, and leave no trace in it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import lightning as L
import torch
from lightning.pytorch.utilities.seed import isolate_rng

from lightning_mia.audit.monitor.leakage import ChallengeSet
from lightning_mia.corpora.loading.batch_sampler import LengthBatches, batches_for
from lightning_mia.corpora.loading.datasets import Recordings, loader
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.runner.module import measure
from lightning_mia.signals.runner.run import merge
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.signals.table import Signals


@contextmanager
def looking_on(model: SpeechModel) -> Iterator[None]:
    """Put a model in evaluation mode, in float32 and without gradients, and everything back afterwards.

    The global random generators, the mode of every module and torch's switches are as before.
    """
    modes = {module: module.training for module in model.modules()}
    tf32 = torch.backends.cudnn.allow_tf32
    with isolate_rng(), torch.no_grad(), torch.autocast(model.device.type, enabled=False):
        try:
            model.eval()
            torch.backends.cudnn.allow_tf32 = False  # as in a probe: signals must not depend on the batch
            yield
        finally:
            torch.backends.cudnn.allow_tf32 = tf32
            for module, mode in modes.items():
                module.training = mode


def ask(
    model: SpeechModel,
    groups: Sequence[SignalGroup],
    challenge: ChallengeSet,
    settings: ProbeSettings,
    trainer: L.Trainer,
) -> Signals:
    """Signals of the model as it is now, the same on every process; each process asks about its share of the batches.

    Args:
        model: the model in training.
        groups: the groups of signals, that with the pooled vectors first.
        challenge: the recordings.
        settings: batches and workers.
        trainer: whose processes share the work.
    """
    with looking_on(model):
        known = [group for group in groups if group.can_ask(model)]
        prepared = [group.prepared(model, challenge.auxiliary, settings.batch_seconds) for group in known]
        first, *others = [_ask_group(model, group, challenge.recordings, settings, trainer) for group in prepared]
    return first.with_groups(others)


def _ask_group(
    model: SpeechModel, group: SignalGroup, recordings: Recordings, settings: ProbeSettings, trainer: L.Trainer
) -> Signals:
    durations = recordings.durations
    batches = LengthBatches(
        durations,
        max(batches_for(durations, settings.batch_seconds), trainer.world_size),
        rank=trainer.global_rank,
        world_size=trainer.world_size,
    )
    own = [
        measure(
            model,
            group,
            batch._replace(waveforms=batch.waveforms.to(model.device), lengths=batch.lengths.to(model.device)),
        )
        for batch in loader(recordings, batches, settings.num_workers)
    ]
    if trainer.world_size == 1:
        return merge(own, recordings.ids)
    of_all: list[list[Signals]] = [[] for _ in range(trainer.world_size)]
    torch.distributed.all_gather_object(of_all, own)
    return merge([part for parts in of_all for part in parts], recordings.ids)
