"""Run attacks on one set of judged recordings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import AnswersWithFrames, Attack, Evidence
from lightning_mia.attacks.cannot_run import CannotRun
from lightning_mia.attacks.shadows import Shadows
from lightning_mia.evaluation.scores import Scores
from lightning_mia.probe.signals import Signals
from lightning_mia.split import Level, Part, Split


@dataclass(frozen=True)
class Scored:
    """What the attacks say of one set of judged recordings.

    Attributes:
        scores: one an attack that ran. Those of an attack that was fitted on the very non-members that it judges
            (`Attack.paper_protocol`) have the access "none" of a control: they depend on the labels, so that their
            p-values mean nothing, and no verdict may rest on them.
        ran: the attacks that ran, in the same order.
        skipped: one line for each of the others that have this level: which, and what it needs.
    """

    scores: list[Scores] = field(default_factory=list)
    ran: list[Attack] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def score_attacks(
    attacks: Sequence[Attack],
    signals: Signals,
    split: Split,
    level: Level,
    part: Part,
    frames: AnswersWithFrames | None = None,
    seed: int = 0,
    score: Callable[[Attack, Evidence], pd.Series] | None = None,
    shadows: Shadows | None = None,
) -> Scored:
    """Scores of every attack that has this level; one that cannot run is left out.

    Args:
        attacks: the attacks.
        signals: of the target, for every recording that is judged.
        split: who is judged.
        level: "utterance" or "speaker".
        part: at speaker level, the recordings that are asked about; a name on trained ones ends in `_trained`.
        frames: the same model as a source of frames, for judged and for auxiliary recordings; None: attacks that
            need frames are left out.
        seed: of what attacks draw at random.
        score: how an attack is asked, such as one that remembers answers; None: by its own `score`.
        shadows: the fleet; None: attacks that need shadow models are left out.
    """
    challenge = split.challenge(level, part)
    suffix = "_trained" if level == "speaker" and part == "trained" else ""
    evidence = Evidence(signals, challenge.drop(columns="member"), split.auxiliary(), frames, seed, shadows)
    units = _Units.of(challenge)
    scored = Scored()
    for attack in attacks:
        if level not in attack.levels:
            continue
        try:
            _check_needs(attack, evidence)
            values = (score or _ask)(
                attack, _as_in_the_paper(evidence, challenge) if attack.paper_protocol else evidence
            )
        except CannotRun as error:
            scored.skipped.append(f"The attack {attack.name + suffix} was left out: {error}.")
        else:
            scored.scores.append(units.scores(attack, values, level, suffix))
            scored.ran.append(attack)
    return scored


def _ask(attack: Attack, evidence: Evidence) -> pd.Series:
    return attack.score(evidence)


def _as_in_the_paper(evidence: Evidence, challenge: pd.DataFrame) -> Evidence:
    """The same with the judged non-members for auxiliary recordings."""
    nonmembers = challenge[~challenge["member"]]
    return replace(evidence, auxiliary=nonmembers[["id", "speaker"]].reset_index(drop=True))


@dataclass(frozen=True)
class _Units:
    """The units that are judged, in the order in which they first come; all attacks share the arrays."""

    ids: np.ndarray
    speakers: np.ndarray
    members: np.ndarray

    @staticmethod
    def of(challenge: pd.DataFrame) -> "_Units":
        units = challenge.drop_duplicates("unit_id")
        return _Units(units["unit_id"].to_numpy(str), units["speaker"].to_numpy(str), units["member"].to_numpy(bool))

    def scores(self, attack: Attack, values: pd.Series, level: Level, suffix: str) -> Scores:
        """What an attack says of them, ready to be judged."""
        return Scores(
            name=attack.name + suffix,
            level=level,
            access="none" if attack.paper_protocol else attack.access,
            two_sided=attack.two_sided,
            unit_ids=self.ids,
            speakers=self.speakers,
            members=self.members,
            values=values.loc[self.ids].to_numpy(dtype=float),
        )


def _check_needs(attack: Attack, evidence: Evidence) -> None:
    """Refuse what the model cannot answer.

    Raises:
        CannotRun: signals that the model cannot give, no frames, or too few shadow models.
    """
    if attack.needs_signal and not evidence.target.has(attack.needs_signal):
        raise CannotRun(f"it needs the {attack.needs_signal.replace('_', ' ')} of the model, which has none")
    if attack.needs_frames and evidence.frames is None:
        raise CannotRun("it needs the model's frames, and there are only its signals")
    n_shadows = len(evidence.shadows) if evidence.shadows else 0
    if n_shadows < attack.least_shadows:
        there = f"there are {n_shadows}" if n_shadows else "there is no fleet"
        raise CannotRun(f"it needs {attack.least_shadows} shadow models, and {there} (--fleet.size)")
    for group in attack.groups if attack.needs_all_groups else ():
        if not any(str(column).startswith(f"{group.prefix}_") for column in evidence.target.scalars):
            raise CannotRun(f"it needs the signals of {group.name.replace('_', ' ')}, which this model cannot give")


def as_control(scores: Scores, kind: str) -> Scores:
    """The same attack on a model that cannot know the members: `untrained_pretext_loss`, say."""
    return replace(scores, name=f"{kind}_{scores.name}", access="none")
