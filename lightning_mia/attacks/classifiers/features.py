"""Which signals a learned attack reads, by what its access allows."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lightning_mia.attacks.base import Access
from lightning_mia.models.ctc import CTC_SCORE
from lightning_mia.models.outputs import PRETEXT_SCORE
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.crop_responses import CropResponses
from lightning_mia.signals.encoder_geometry import EncoderGeometry
from lightning_mia.signals.perturbed_pretext import PerturbedTask
from lightning_mia.signals.pretext_by_mask import PretextDetails
from lightning_mia.signals.surrogate.targets import AdversarysClusters
from lightning_mia.signals.surrogate_head import SurrogateHead
from lightning_mia.signals.table import PAIRWISE_COSINE, Signals
from lightning_mia.signals.view_consistency import ViewAgreement

ACCESSES: tuple[Access, ...] = ("black-box", "open-weights", "grey-box")  # each allows what those before it allow
TASK_SCORES = (PRETEXT_SCORE, CTC_SCORE)


def access_of(group: SignalGroup) -> Access:
    """The least access with which a model can be asked.

    >>> access_of(ViewAgreement()), access_of(SurrogateHead(filling=None)), access_of(PretextDetails())
    ('black-box', 'open-weights', 'grey-box')
    """
    if isinstance(group, PretextDetails | PerturbedTask):
        return "grey-box"
    return "open-weights" if isinstance(group, SurrogateHead) and group.filling is None else "black-box"


def default_groups(access: Access) -> tuple[SignalGroup, ...]:
    """The groups of signals that this access allows, with their usual settings."""
    groups: tuple[SignalGroup, ...] = (
        EncoderGeometry(),
        ViewAgreement(),
        CropResponses(),
        SurrogateHead(),
        SurrogateHead(target=AdversarysClusters()),
        SurrogateHead(filling=None),
        SurrogateHead(filling=None, target=AdversarysClusters()),
        PretextDetails(),
        PerturbedTask(),
    )
    return tuple(group for group in groups if allows(access, access_of(group)))


def allows(access: Access, needed: Access) -> bool:
    """Whether what takes `needed` can be had.

    >>> allows("grey-box", "open-weights"), allows("black-box", "open-weights")
    (True, False)
    """
    return ACCESSES.index(needed) <= ACCESSES.index(access)


def read_features(signals: Signals, groups: Sequence[SignalGroup], access: Access) -> pd.DataFrame:
    """Read the cosines of every audit, the task's scores where the access is grey-box, and what the groups say.

    Scores of the training task are read mask by mask, and their mean over the masks too.

    Args:
        signals: of one model.
        groups: those that are read, as far as the model has answered them.
        access: what is allowed.

    Returns:
        (recordings, columns) float64.
    """
    beginnings = [f"{PAIRWISE_COSINE}_", *(f"{group.prefix}_" for group in groups)]
    tasks = [name for name in TASK_SCORES if access == "grey-box" and signals.has(name)]
    beginnings += [f"{name}_mask" for name in tasks]
    table = signals.scalars[[name for name in signals.scalars if str(name).startswith(tuple(beginnings))]]
    return table.assign(**{name: signals.task_score(name) for name in tasks})


def gives(signals: Signals, groups: Sequence[SignalGroup], access: Access) -> bool:
    """Whether a model has given a signal for which this very access is needed: with less, it would not be there."""
    if access == "black-box":
        return True
    names = list(map(str, signals.scalars))
    own = [f"{group.prefix}_" for group in groups if access_of(group) == access]
    of_task = access == "grey-box" and any(signals.has(name) for name in TASK_SCORES)
    return of_task or any(name.startswith(tuple(own)) for name in names)
