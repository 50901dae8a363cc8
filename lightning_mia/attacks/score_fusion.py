"""Score fusion: the sum of the standardised scores of several attacks."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import ACCESSES, Attack, Evidence
from lightning_mia.attacks.midpoint import MidPoint
from lightning_mia.attacks.relearn import Relearn
from lightning_mia.attacks.shadow_models.signal_attack import SignalAttack
from lightning_mia.signals.base import SignalGroup
from lightning_mia.utilities.errors import InputError


class ScoreFusion(Attack):
    """Sum of the standardised scores of several attacks.

    Score: Σₐ (sₐ(x) − mean sₐ) / sd sₐ, with mean and standard deviation over all units in question, without labels.

    Two attacks that err on different recordings find more together. By default, `Relearn`, which compares the target
    with itself after further training, and `MidPoint`, which compares it with shadow models.

    Args:
        attacks: two attacks or more, of known sign; null: `Relearn` and `MidPoint`.

    Raises:
        InputError: there are fewer than two attacks, one is two-sided, they share no level, or they need different
            scores of the training task.

    Example:
        >>> from lightning_mia.attacks import BaVarIA, CalibratedLoss
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_shadows=4, effect=2.0)
        >>> audit.auroc(ScoreFusion([BaVarIA(), CalibratedLoss()]).score(audit.evidence))
        0.89
    """

    base_name = "fusion"
    reference = "this package; sum of normalised scores as in Kittler et al. (1998, IEEE TPAMI 20(3)), section 2"

    def __init__(self, attacks: Sequence[Attack] | None = None) -> None:
        self.attacks = tuple(attacks) if attacks is not None else (Relearn(), MidPoint())
        if len(self.attacks) < 2:
            raise InputError("ScoreFusion.attacks: give two attacks or more")
        if two_sided := [attack.name for attack in self.attacks if attack.two_sided]:
            raise InputError(
                f"ScoreFusion.attacks: {two_sided[0]} is two-sided, so that it is unknown whether its high scores are "
                "those of members: give attacks of known sign"
            )
        needed = {attack.needs_signal for attack in self.attacks} - {""}
        if len(needed) > 1:
            raise InputError(f"ScoreFusion.attacks need {' and '.join(sorted(needed))}: give attacks on one of them")
        self.needs_signal = "".join(needed)
        self.levels = tuple(
            level for level in self.attacks[0].levels if all(level in attack.levels for attack in self.attacks)
        )
        if not self.levels:
            raise InputError("ScoreFusion.attacks are at different levels: give attacks at one level")
        self.access = max((attack.access for attack in self.attacks), key=ACCESSES.index)
        self.min_shadows = max(attack.min_shadows for attack in self.attacks)
        self.needs_frames = any(attack.needs_frames for attack in self.attacks)
        self.cache_scores = any(attack.cache_scores for attack in self.attacks)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Names of the attacks."""
        return tuple(attack.name for attack in self.attacks)

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Those of all attacks."""
        return tuple(dict.fromkeys(group for attack in self.attacks for group in attack.groups))

    @property
    def compared_groups(self) -> tuple[SignalGroup, ...]:
        """Those of all attacks."""
        return tuple(dict.fromkeys(group for attack in self.attacks for group in attack.compared_groups))

    @property
    def paper_protocol(self) -> bool:
        """Whether one of the attacks is fitted on challenge non-members."""
        return any(attack.paper_protocol for attack in self.attacks)

    def score(self, evidence: Evidence) -> pd.Series:
        """Add the standardised scores of every unit."""
        return _add([attack.score(evidence) for attack in self.attacks])

    def score_alone(self, evidence: Evidence) -> pd.Series:
        """Do so without shadow models: signals are scored in place of their comparison."""
        return _add(
            [
                attack.score_alone(evidence) if isinstance(attack, SignalAttack) else attack.score(evidence)
                for attack in self.attacks
            ]
        )


def _add(scores: Sequence[pd.Series]) -> pd.Series:
    index = scores[0].index
    return pd.Series(np.sum([_standardised(values.loc[index]) for values in scores], axis=0), index)


def _standardised(scores: pd.Series) -> np.ndarray:
    """Return scores of mean 0 and standard deviation 1; zeros for a constant.

    >>> _standardised(pd.Series([1.0, 3.0])).tolist(), _standardised(pd.Series([2.0, 2.0])).tolist()
    ([-1.0, 1.0], [0.0, 0.0])
    """
    values = scores.to_numpy(dtype=np.float64)
    spread = values.std()
    return (values - values.mean()) / spread if spread else np.zeros_like(values)
