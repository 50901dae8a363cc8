"""Run attacks on one set of judged recordings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Attack, CannotRun, Evidence, FrameAccess, ShadowModels
from lightning_mia.evaluation.scores import Scores
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Level, Part, Split
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path, hash_of


def remembered_scores(attack: Attack, evidence: Evidence, folder: Path, model: str) -> pd.Series:
    """Scores of an attack, from the folder where they are already there.

    Args:
        attack: an attack that takes long.
        evidence: what it is given.
        folder: where scores are kept, one file an attack, model and challenge set.
        model: what the model's answers depend on, as text: its hash and that of the recordings.

    Raises:
        InputError: a file is damaged.
    """
    settings = {name: value for name, value in vars(attack).items() if not name.startswith("_")}
    asked = [list(evidence.challenge["id"]), list(evidence.challenge["unit_id"]), list(evidence.auxiliary["id"])]
    key = hash_of([type(attack).__name__, settings, model, asked, evidence.seed])
    path = folder / f"{attack.name}-{key[:16]}.csv"
    if not path.exists():
        scores = attack.score(evidence)
        with atomic_path(path) as temporary:
            scores.rename("score").rename_axis("unit_id").to_csv(temporary, float_format="%.17g")
        return scores
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)  # Python's own reading of a number is exact
        return table.set_index("unit_id")["score"].astype(float)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is damaged; delete it and start again") from error


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
    frames: FrameAccess | None = None,
    seed: int = 0,
    score: Callable[[Attack, Evidence], pd.Series] | None = None,
    shadows: ShadowModels | None = None,
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
