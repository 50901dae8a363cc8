"""Signals available to a learned attack at each access level."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lightning_mia.attacks.base import ACCESSES, Access
from lightning_mia.models.outputs import CTC_SCORE, PRETEXT_SCORE, TOKEN_SCORE
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.crop_responses import CropResponses
from lightning_mia.signals.encoder_geometry import EncoderGeometry
from lightning_mia.signals.perturbed_pretext import PerturbedTask
from lightning_mia.signals.pretext_by_mask import PretextDetails
from lightning_mia.signals.relearning import Relearning
from lightning_mia.signals.surrogate.targets import AdversarysClusters
from lightning_mia.signals.surrogate_pretext import SurrogateHead
from lightning_mia.signals.table import PAIRWISE_COSINE, Signals
from lightning_mia.signals.view_consistency import ViewAgreement

TASK_SCORES = (PRETEXT_SCORE, CTC_SCORE, TOKEN_SCORE)


def required_access(group: SignalGroup) -> Access:
    """Return the access that a signal group requires.

    >>> [required_access(group) for group in (ViewAgreement(), SurrogateHead(filling=None), PretextDetails())]
    ['black-box', 'open-weights', 'grey-box']
    """
    if isinstance(group, Relearning):
        return "white-box"
    if isinstance(group, PretextDetails | PerturbedTask):
        return "grey-box"
    return "open-weights" if isinstance(group, SurrogateHead) and group.filling is None else "black-box"


def default_groups(access: Access) -> tuple[SignalGroup, ...]:
    """List the default signal groups that an access allows."""
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
        Relearning(),
    )
    return tuple(group for group in groups if allows(access, required_access(group)))


def allows(access: Access, needed: Access) -> bool:
    """Return whether an access includes another.

    >>> allows("grey-box", "open-weights"), allows("black-box", "open-weights")
    (True, False)
    """
    return ACCESSES.index(needed) <= ACCESSES.index(access)


def read_features(signals: Signals, groups: Sequence[SignalGroup], access: Access) -> pd.DataFrame:
    """Read the features of one model.

    These are the frame cosines, which every audit probes; the signals of the groups; and from grey-box access on the
    scores of the training task, for each mask and averaged over masks.

    Args:
        signals: signals of one model.
        groups: signal groups, if the model provides them.
        access: access to the model.

    Returns:
        (recordings, columns) float64.
    """
    prefixes = [f"{PAIRWISE_COSINE}_", *(f"{group.prefix}_" for group in groups)]
    tasks = [name for name in TASK_SCORES if allows(access, "grey-box") and signals.has(name)]
    prefixes += [f"{name}_mask" for name in tasks]
    table = signals.scalars[[name for name in signals.scalars if str(name).startswith(tuple(prefixes))]]
    return table.assign(**{name: signals.task_score(name) for name in tasks})


def provides(signals: Signals, groups: Sequence[SignalGroup], access: Access) -> bool:
    """Return whether a model has signals requiring exactly this access."""
    if access == "black-box":
        return True
    names = list(map(str, signals.scalars))
    prefixes = [f"{group.prefix}_" for group in groups if required_access(group) == access]
    has_task_score = access == "grey-box" and any(signals.has(name) for name in TASK_SCORES)
    return has_task_score or any(name.startswith(tuple(prefixes)) for name in names)
