"""Requirements of attacks that are known before any training."""

from collections.abc import Sequence

from lightning_mia.attacks.base import Attack
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.outputs import CTC_SCORE, PRETEXT_SCORE, TOKEN_SCORE
from lightning_mia.splits import Split
from lightning_mia.utilities.errors import InputError


def check_some_can_run(attacks: Sequence[Attack], model: SpeechModel, split: Split, n_references: int = 0) -> None:
    """Refuse attacks none of which can give a verdict.

    Args:
        attacks: the attacks that the user chose.
        model: class and configuration of the target.
        split: split with the columns of the shadow models.
        n_references: number of reference models, instead of shadow models.

    Raises:
        InputError: no attack can run; the message says what each one lacks.
    """
    reasons = [f"{attack.name} {lack}" for attack in attacks if (lack := _lack(attack, model, split, n_references))]
    if attacks and len(reasons) == len(attacks):
        raise InputError(f"No attack can give a verdict: {'; '.join(reasons)}; choose other attacks")


def _lack(attack: Attack, model: SpeechModel, split: Split, n_references: int) -> str:
    """Say what an attack lacks; empty: nothing that is known yet."""
    if attack.paper_protocol:
        return "follows its paper's protocol, which is fitted on evaluated non-members"
    if not set(attack.levels) & set(split.levels):
        return f"is an attack at {' and '.join(attack.levels)} level, which this split does not support"
    if n_references and n_references < attack.min_shadows:
        return f"needs {attack.min_shadows} reference models, and there are {n_references} (--fleet.references)"
    if not n_references and len(split.shadows) < attack.min_shadows:
        available = f"there are {len(split.shadows)}" if split.shadows else "there are none"
        return f"needs {attack.min_shadows} shadow models, and {available} (--fleet.size)"
    # A model without targets may get a pretext task by its training.
    has = {name: name == model.task_score for name in (CTC_SCORE, TOKEN_SCORE)}
    has[PRETEXT_SCORE] = model.has_pretext or model.needs_targets
    if not has.get(attack.needs_signal, True):
        return f"needs the {attack.needs_signal.replace('_', ' ')} of the model, which has none"
    for group in attack.groups if attack.needs_all_groups and not model.needs_targets else ():
        if not group.supports(model):
            return f"needs {group.lack}"
    return ""
