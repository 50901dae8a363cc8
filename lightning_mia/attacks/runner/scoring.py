"""Score the challenge set with all attacks."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Attack, CannotRun, Evidence, FrameAccess, ShadowModels
from lightning_mia.attacks.score_fusion import ScoreFusion
from lightning_mia.attacks.shadow_models.signal_attack import SignalAttack
from lightning_mia.attacks.shadow_models.signal_matrix import MatrixReader
from lightning_mia.evaluation.scores import Scores
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Level, Part, Split, question_name
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of, write_text

CHECKSUM = "# sha256 "
"""Begins the last line of a file of cached scores."""


@dataclass(frozen=True)
class Scored:
    """Scores of one challenge set from all attacks.

    Attributes:
        scores: scores of each attack that ran. An attack with `paper_protocol` has the access "none" of a
            control: its scores depend on the labels, so that its p-values are invalid and no verdict may use them.
        ran: attacks that ran, in the same order.
        skipped: one line for each other attack of this level: its name, and what it needs.
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
    *,
    alone: bool = False,
) -> Scored:
    """Score the challenge set with every attack of a level.

    Attacks that cannot run are skipped.

    Args:
        attacks: attacks to run.
        signals: signals of the target for challenge and auxiliary recordings; those of siblings are hidden from the
            attacks.
        split: split with the challenge set.
        level: "utterance" or "speaker".
        part: at speaker level, the recordings to query; names of attacks on trained ones end in `_trained`.
        frames: hidden states of the target; None: attacks that need frames are skipped.
        seed: seed of the attacks.
        score: replaces `Attack.score`, to use a cache; None: `Attack.score`. Not used for signal attacks, which share
            their matrices.
        shadows: shadow models; None: attacks that need them are skipped. Of reference models, each attack uses those
            that provide its signals.
        alone: score by the signal alone, in place of attacks that compare it with shadow models.
    """
    challenge = split.challenge(level, part)
    suffix = "_trained" if level == "speaker" and part == "trained" else ""
    question = question_name(level, part)
    signals = _without_siblings(signals, split).of_question(question)
    shadows = shadows and shadows.of_question(question)
    evidence = Evidence(signals, challenge.drop(columns="member"), split.auxiliary(), frames, seed, shadows)
    units, read_matrix, scored = _ChallengeUnits.from_table(challenge), MatrixReader(), Scored()
    select = _ReferenceSelector(evidence)
    for attack in attacks:
        if level not in attack.levels:
            continue
        attack_evidence = _with_nonmembers(evidence, challenge) if attack.paper_protocol else select(attack)
        try:
            _check_requirements(attack, attack_evidence, alone)
            if alone and isinstance(attack, SignalAttack | ScoreFusion):
                values = attack.score_alone(attack_evidence)
            elif isinstance(attack, SignalAttack):
                values = attack.score(attack_evidence, read_matrix)
            else:
                values = score(attack, attack_evidence) if score else attack.score(attack_evidence)
        except CannotRun as error:
            scored.skipped.append(f"The attack {attack.name + suffix} was left out: {error}.")
        else:
            scored.scores.append(units.scores(attack, values, level, part, suffix))
            scored.ran.append(attack)
    return scored


def cached_scores(attack: Attack, evidence: Evidence, folder: Path, model: str) -> pd.Series:
    """Score with an attack, or read its cached scores.

    Args:
        attack: a slow attack.
        evidence: evidence of the attack.
        folder: folder of the cache, one file per attack, model and challenge set.
        model: text that identifies the signals of all models used, such as a hash of models and recordings.

    Raises:
        InputError: a damaged file.
    """
    settings = {name: value for name, value in vars(attack).items() if not name.startswith("_")}
    queried = [list(evidence.challenge["id"]), list(evidence.challenge["unit_id"]), list(evidence.auxiliary["id"])]
    key = hash_of([CHECKSUM, type(attack).__name__, settings, model, queried, evidence.seed])
    path = folder / f"{attack.name}-{key[:16]}.csv"
    if not path.exists():
        scores = attack.score(evidence)
        content = scores.rename("score").rename_axis("unit_id").to_csv(float_format="%.17g")
        write_text(path, f"{content}{CHECKSUM}{hash_of(content)}\n")
        return scores
    try:
        content, _, checksum = path.read_bytes().decode().rpartition(CHECKSUM)
        if checksum.strip() != hash_of(content):
            raise ValueError("the content does not have its hash")
        table = pd.read_csv(io.StringIO(content), dtype=str, keep_default_na=False)  # pandas' own floats are not exact
        return table.set_index("unit_id")["score"].astype(float)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is damaged; delete it and run the same command again") from error


def as_control(scores: Scores, kind: str) -> Scores:
    """Rename scores as those of a control, such as `untrained_pretext_loss`."""
    return replace(scores, name=f"{kind}_{scores.name}", access="none")


def _without_siblings(signals: Signals, split: Split) -> Signals:
    """Drop siblings, which would be neighbours of the members alone."""
    is_sibling = signals.scalars.index.isin(split.table["id"][split.table["role"] == "sibling"])
    return signals.take(signals.scalars.index[~is_sibling]) if is_sibling.any() else signals


def _with_nonmembers(evidence: Evidence, challenge: pd.DataFrame) -> Evidence:
    """Replace the auxiliary recordings by the challenge non-members."""
    nonmembers = challenge[~challenge["member"]]
    return replace(evidence, auxiliary=nonmembers[["id", "speaker"]].reset_index(drop=True))


@dataclass(frozen=True)
class _ChallengeUnits:
    """Challenge units in order of first appearance."""

    ids: np.ndarray
    speakers: np.ndarray
    members: np.ndarray

    @classmethod
    def from_table(cls, challenge: pd.DataFrame) -> _ChallengeUnits:
        units = challenge.drop_duplicates("unit_id")
        return cls(units["unit_id"].to_numpy(str), units["speaker"].to_numpy(str), units["member"].to_numpy(bool))

    def scores(self, attack: Attack, values: pd.Series, level: Level, part: Part, suffix: str) -> Scores:
        """Combine an attack's scores with units and membership."""
        return Scores(
            name=attack.name + suffix,
            level=level,
            access="none" if attack.paper_protocol else attack.access,
            two_sided=attack.two_sided,
            unit_ids=self.ids,
            speakers=self.speakers,
            members=self.members,
            values=values.loc[self.ids].to_numpy(dtype=float),
            part=part if level == "speaker" else "",
        )


def models_for(attack: Attack, shadows: ShadowModels) -> ShadowModels:
    """Select the models that an attack is compared with: of reference models, those that provide its signals."""
    if not shadows.are_references:
        return shadows
    groups = attack.compared_groups
    provide = [not _missing_signals(attack, groups, signals) for signals in shadows.signals]
    return shadows if all(provide) else shadows.take(np.array(provide))


class _ReferenceSelector:
    """Selects the reference models that provide an attack's signals.

    Attacks on the same models share one evidence, and thereby their matrix.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._by_models: dict[tuple[str, ...], Evidence] = {}

    def __call__(self, attack: Attack) -> Evidence:
        shadows = self._evidence.shadows
        if shadows is None or (chosen := models_for(attack, shadows)) is shadows:
            return self._evidence
        return self._by_models.setdefault(tuple(map(str, chosen.members)), replace(self._evidence, shadows=chosen))


def _missing_signals(attack: Attack, groups: Sequence[SignalGroup], signals: Signals) -> str:
    """Say which signals a model lacks; empty: none."""
    if attack.needs_signal and not signals.has(attack.needs_signal):
        return f"the {attack.needs_signal.replace('_', ' ')} of the model, which has none"
    for group in groups if attack.needs_all_groups else ():
        if not any(str(column).startswith(f"{group.prefix}_") for column in signals.scalars):
            return group.lack
    return ""


def _check_requirements(attack: Attack, evidence: Evidence, alone: bool) -> None:
    """Check that model and run meet an attack's requirements.

    Raises:
        CannotRun: missing signals or frames, or too few shadow models.
    """
    if attack.needs_signal and not evidence.target.has(attack.needs_signal):
        raise CannotRun(f"it needs {_missing_signals(attack, attack.groups, evidence.target)}")
    if attack.needs_frames and evidence.frames is None:
        raise CannotRun("it needs the model's frames, and only its signals are available")
    n_shadows = len(evidence.shadows) if evidence.shadows else 0
    if n_shadows < attack.min_shadows and not alone:
        raise CannotRun(f"it needs {_lacking_models(attack.min_shadows, n_shadows, evidence.shadows)}")
    if missing := _missing_signals(attack, attack.groups, evidence.target):
        raise CannotRun(f"it needs {missing}")


def _lacking_models(needed: int, available: int, shadows: ShadowModels | None) -> str:
    """Say how many shadow models, or reference models, are needed and available."""
    counted = f"there are {available}" if available > 1 else "there is 1" if available else "there are none"
    if shadows is not None and shadows.are_references:
        return f"{needed} reference models with its signals, and {counted} (--fleet.references)"
    return f"{needed} shadow models, and {counted} (--fleet.size)"
