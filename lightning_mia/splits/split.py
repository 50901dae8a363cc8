"""Membership of recordings, and challenge sets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from lightning_mia.splits.challenge_units import ChallengeUnits, LabelledUnits
from lightning_mia.splits.sampling.assignment import Assignment, assign_units, assignments
from lightning_mia.splits.sampling.membership import Inclusion
from lightning_mia.splits.sampling.recordings import MIN_QUERIES, equalise_queries
from lightning_mia.splits.sampling.sizes import MIN_UNITS_PER_CLASS
from lightning_mia.splits.split_file import REMEDY, read_split, write_split
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import hash_of

Level = Literal["utterance", "speaker"]
Part = Literal["trained", "held_back"]

ROLES = ("member", "nonmember", "held_back", "auxiliary", "background", "sibling")
LEADING_COLUMNS = ("id", "speaker", "role", "trained", "target")
TRAILING_COLUMNS = ("unit", "stratum", "part", "audio")
SESSION = "session"
"""Column of the table of a predefined split with siblings, if the corpus has it."""
EXPOSURES = "exposures"
"""Column of the table of a split whose members are not all trained on once an epoch."""
OPTIONAL_COLUMNS = (SESSION, EXPOSURES)


def question_name(level: Level, part: Part) -> str:
    """Name what is asked about the recordings.

    >>> question_name("utterance", "trained"), question_name("speaker", "held_back")
    ('utterance', 'speaker_held_back')
    """
    return level if level == "utterance" else f"{level}_{part}"


@dataclass(frozen=True, eq=False)
class Split:
    """Membership of every recording for every model.

    Attributes:
        table: one row per recording, sorted by id, with the columns
            `id`, `speaker`;
            `role`, one of `ROLES`;
            `trained` (bool), the target is trained on this recording;
            `target`, `shadow_000`, … (bool), the recording's unit is IN for that model (background: for all);
            `unit`, the unit of membership: audio content, session or speaker;
            `stratum`, within which labels are permuted ("" for auxiliary and background recordings and siblings);
            `part`, use of the recording if its unit is IN: "trained" or "held_back" ("" for these, too);
            `audio`, the first id with identical audio;
            `session`, only in predefined splits with siblings;
            `exposures`, how often the recording is in an epoch of a model trained on it, only if this differs.
        level: "utterance" or "speaker", as drawn or requested.
        drawn: the labels were drawn at random; False: they are user-supplied.
        inclusion: how they were drawn: half of every stratum is IN, or a fair coin decided for each unit.

    Example:
        >>> from lightning_mia.splits import SpeakerDesign
        >>> table = pd.DataFrame({"id": [f"{i:02d}" for i in range(60)], "speaker": [f"s{i % 10}" for i in range(60)]})
        >>> design = SpeakerDesign(n_units=8, n_auxiliary=2, trained_per_speaker=4, held_back_per_speaker=2)
        >>> split = design.draw(table, {name: name for name in table["id"]}, n_shadows=2)
        >>> split.shadows, len(split.training_ids())
        (['shadow_000', 'shadow_001'], 16)
        >>> len(split.challenge("speaker"))  # two held-back recordings of each of eight speakers
        16
    """

    table: pd.DataFrame
    level: Level
    drawn: bool
    inclusion: Inclusion = "balanced"

    @cached_property
    def sha256(self) -> str:
        """Hash of the split, without the columns of shadow models."""
        optional = [name for name in OPTIONAL_COLUMNS if name in self.table]
        rows = self.table[[*LEADING_COLUMNS, *TRAILING_COLUMNS, *optional]].astype(str).to_numpy().tolist()
        return hash_of({"level": self.level, "drawn": self.drawn, "rows": rows, **self._non_default})

    @property
    def _non_default(self) -> dict[str, str]:
        """Options that the files of earlier versions lack."""
        return {} if self.inclusion == "balanced" else {"inclusion": self.inclusion}

    @property
    def shadows(self) -> list[str]:
        """Names of the shadow models."""
        return [name for name in self.table.columns if name.startswith("shadow_")]

    def with_shadows(self, n_shadows: int) -> "Split":
        """Return the split with the first shadow models only."""
        return self.with_only(self.shadows[:n_shadows])

    def with_only(self, shadows: Sequence[str]) -> "Split":
        """Return the split with these shadow models only."""
        return replace(self, table=self.table.drop(columns=[name for name in self.shadows if name not in shadows]))

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """Levels at which the split is evaluated.

        A drawn split has its own level, a predefined one possibly both.
        """
        if self.drawn:
            return (self.level,)
        return ("utterance", "speaker") if self.parts("speaker") else ("utterance",)

    @cached_property
    def assignment(self) -> tuple[Assignment, ...]:
        """What the labels of a predefined split are assumed to be assigned to.

        Several, if speakers differ in this; none for a drawn split, whose assignment is known.
        """
        return () if self.drawn else assignments(self.table["stratum"])

    def sibling_split(self) -> "Split | None":
        """Return the split of members and siblings, as the sibling control evaluates it.

        Siblings are recordings of the members' source that the target was not trained on. An attack that cannot tell
        members from siblings recognises their source, not membership. In the returned split siblings and non-members
        have changed roles: the siblings are evaluated, and the non-members are not. None without siblings.
        """
        if not (self.table["role"] == "sibling").any():
            return None
        role = self.table["role"].replace({"sibling": "nonmember", "nonmember": "sibling"})
        return replace(self, table=assign_units(self.table.assign(role=role)))

    def parts(self, level: Level) -> tuple[Part, ...]:
        """Return the available parts of a level, the default first."""
        if level == "utterance":
            return ("trained",)
        parts: tuple[Part, ...] = ("held_back", "trained")
        return tuple(part for part in parts if _has_enough_speakers(self._speaker_queries[part]))

    def training_ids(self, model: str = "target") -> list[str]:
        """Return the ids of a model's training recordings.

        Models are "target", "shadow_000", …
        """
        if model not in ("target", *self.shadows):
            raise ValueError(f"No model {model!r} in this split: it has target and {len(self.shadows)} shadows")
        trained_on = self.table[self.table[model]]
        in_background = trained_on["role"] == "background"
        rows, background = trained_on[~in_background], trained_on[in_background]
        pool = rows[rows["role"] == "auxiliary"]
        n_trained = self.table[self.table["part"] == "trained"].groupby("unit").size().max()
        if self.drawn:  # as many as of a unit of the target
            pool = pool[pool.groupby("unit").cumcount() < n_trained]
        return [*rows["id"][rows["part"] == "trained"].to_list(), *pool["id"].to_list(), *background["id"].to_list()]

    @property
    def n_members_trained(self) -> int:
        """Challenge recordings that each model is trained on; if coins were tossed, the expected number."""
        if self.inclusion == "independent":
            return int((self.table["part"] == "trained").sum()) // 2
        return int((self.table["role"] == "member").sum())

    def background_ids(self) -> list[str]:
        """Return the ids of the recordings that every model is trained on."""
        return list(self._background_ids)

    @cached_property
    def _background_ids(self) -> list[str]:
        return self.table["id"][self.table["role"] == "background"].to_list()

    def unevaluated_ids(self) -> list[str]:
        """Return what a model trained on no challenge unit is trained on: auxiliary and background recordings."""
        return [*self.auxiliary_ids(), *self.background_ids()]

    def queried_ids(self) -> list[str]:
        """Return the ids of all recordings but the background, which no model is queried with."""
        return list(self.table["id"][self.table["role"] != "background"])

    def times_per_epoch(self, ids: Sequence[str]) -> np.ndarray:
        """Return how often recordings are in an epoch of a model trained on them, (n,) int."""
        if EXPOSURES not in self.table:
            return np.ones(len(ids), dtype=int)
        return self._exposures.loc[list(ids)].to_numpy()

    @cached_property
    def _exposures(self) -> pd.Series:
        return self.table.set_index("id")[EXPOSURES]

    def unit_exposures(self, level: str) -> dict[str, int] | None:
        """Return the exposures of every challenge unit by unit_id; None if all have one."""
        if EXPOSURES not in self.table:
            return None
        rows = self.table[self.table["part"] != ""]
        return dict(zip(rows["id" if level == "utterance" else "speaker"], rows[EXPOSURES].tolist(), strict=True))

    def auxiliary(self) -> pd.DataFrame:
        """Return the adversary's own recordings, without copies: `id`, `speaker`."""
        rows = self.table[(self.table["role"] == "auxiliary") & ~self._in_pool]
        return rows[rows["id"] == rows["audio"]][["id", "speaker"]].reset_index(drop=True)

    def auxiliary_ids(self) -> list[str]:
        """Return the ids of the adversary's own recordings."""
        return list(self.table["id"][(self.table["role"] == "auxiliary") & ~self._in_pool])

    def pool(self) -> pd.DataFrame | None:
        """Return the auxiliary recordings that shadow models are trained on.

        Columns are `id`, `unit_id` and `speaker`; None if the shadow models are trained on challenge units.
        """
        rows = self.table[self._in_pool]
        if rows.empty:
            return None
        return (
            rows[["id", self.pool_unit, "speaker"]]
            .set_axis(["id", "unit_id", "speaker"], axis=1)
            .reset_index(drop=True)
        )

    @property
    def pool_unit(self) -> str:
        """Column of the units that the shadow models' training sets are drawn from.

        In a user-supplied split, auxiliary recordings may have their speaker as the unit.
        """
        return "unit" if self.drawn else "audio" if self.level == "utterance" else "speaker"

    @property
    def _in_pool(self) -> pd.Series:
        return (self.table["role"] == "auxiliary") & self.table[self.shadows].any(axis=1)

    def challenge(self, level: Level, part: Part | None = None) -> pd.DataFrame:
        """Return the recordings to evaluate, without copies.

        Args:
            level: "utterance": the trained part of IN and OUT units (also of a drawn speaker design);
                "speaker": equally many recordings of every speaker.
            part: at speaker level, the part of a member speaker's recordings; default: held_back if available. In a
                drawn split the same part of OUT speakers is used, in a predefined one any of their recordings.

        Returns:
            One row per recording, sorted by id: `id`; `unit_id`, the id or the speaker; `speaker`; `member` (bool).

        Raises:
            InputError: the split cannot be evaluated at this level, or on this part.
        """
        if level == "utterance":
            if part == "held_back":
                raise ValueError("Held-back recordings are evaluated at speaker level only")
            rows = self.table[(self.table["part"] == "trained") & (self.table["id"] == self.table["audio"])]
            return _challenge(rows, unit="id")
        if part is None:
            part = "held_back" if "held_back" in self.parts("speaker") else "trained"
        rows = self._speaker_queries[part]
        if not _has_enough_speakers(rows):
            raise InputError(
                f"The split cannot be evaluated at speaker level on {part} recordings: this takes "
                f"{MIN_UNITS_PER_CLASS} member and {MIN_UNITS_PER_CLASS} non-member speakers, none of them both, with "
                f"{MIN_QUERIES} such recordings each; choose the utterance level or another split"
            )
        return _challenge(rows, unit="speaker")

    @cached_property
    def _speaker_queries(self) -> "dict[Part, pd.DataFrame]":
        """Candidate rows of the speaker level, by part.

        Empty if a speaker is both member and non-member.
        """
        rows = self.table[(self.table["part"] != "") & (self.table["id"] == self.table["audio"])]
        by_speaker = self.level == "speaker" if self.drawn else (rows["unit"] == rows["speaker"]).all()
        if not by_speaker:
            return {"held_back": rows.iloc[:0], "trained": rows.iloc[:0]}
        # Non-member speakers of a predefined split have no held-back recordings: all of theirs serve as either part.
        either = ~rows["target"] & (not self.drawn)
        return {part: equalise_queries(rows[(rows["part"] == part) | either]) for part in ("held_back", "trained")}

    def candidates(self) -> "dict[str, list[str]]":
        """List the recordings of every question, without labels.

        An attack that trains on recordings treats all these alike: members, non-members and siblings, and the
        auxiliary recordings if shadow models are trained on some of them.

        Returns:
            `question_name` of every level and part → ids.
        """
        siblings = self.sibling_split()
        auxiliary = [] if self.pool() is None else list(self.table["id"][self.table["role"] == "auxiliary"])
        return {
            question_name(level, part): sorted(
                {
                    *self.challenge(level, part)["id"],
                    *(siblings.challenge(level, part)["id"] if siblings and part in siblings.parts(level) else ()),
                    *auxiliary,
                }
            )
            for level in self.levels
            for part in self.parts(level)
        }

    def redraw(
        self, units: Sequence[str], level: str, n: int, seed: int, observed: np.ndarray | None = None
    ) -> np.ndarray:
        """Redraw membership labels by the mechanism that assigned them.

        Within every stratum the labels of the given units are permuted uniformly, so that the number of IN units in
        each stratum is kept. Recordings that were assigned together keep a common label: those of a speaker in a
        speaker design, and in a predefined split those of a speaker who is only member or only non-member, or of such a
        session of another speaker. (If such speakers or sessions have unequally many recordings, the number of member
        recordings varies between redraws.)

        With independent inclusion, a fair coin is tossed for each unit. The labels of a part of the challenge set,
        which may have been chosen by its labels, are permuted instead: given the number of members, all labellings are
        equally likely.

        Small designs have few labellings: with 6 + 6 speakers 924. If there are at most 200,000, no redraw repeats
        another or the observed labels; if at most `n` others exist, each of them is returned, and p-values are exact
        and do not depend on the seed.

        Args:
            units: unit_ids of the challenge set or of a part of it; their labels do not depend on their order.
            level: level of the challenge set.
            n: maximum number of redraws.
            seed: seed of the redraws, which are independent of the split even if its seed is the same.
            observed: (units,) bool, labels that the redraws are compared with, such as one of `draw_labels`; by
                default those of the split.

        Returns:
            (R, units) bool: membership under each redraw; R ≤ n, and at least 1: if the units have no other labels,
            the observed ones are returned.

        Raises:
            ValueError: a unit is not evaluated at this level.
        """
        return self._units(units, level).redraw(n, seed, observed)

    def count_labellings(self, units: Sequence[str], level: str) -> int:
        """Count the labellings that `redraw` draws from, the observed one included.

        Args:
            units: unit_ids of the challenge set or of a part of it.
            level: level of the challenge set.

        Raises:
            ValueError: a unit is not evaluated at this level.
        """
        return self._units(units, level).count_labellings()

    def draw_labels(self, units: Sequence[str], level: str, n: int, seed: int) -> np.ndarray:
        """Draw membership labels independently, to simulate splits without a leak.

        They follow the mechanism of `redraw`, but may repeat each other and the labels of the split.

        Args:
            units: unit_ids of the challenge set or of a part of it.
            level: level of the challenge set.
            n: number of draws.
            seed: seed of the draws.

        Returns:
            (n, units) bool.

        Raises:
            ValueError: a unit is not evaluated at this level.
        """
        return self._units(units, level).draw(n, seed)

    def _units(self, units: Sequence[str], level: str) -> LabelledUnits:
        if level not in (*self.levels, "utterance"):
            raise ValueError(f"This split is not evaluated at {level} level")
        return (self._speaker_units if level == "speaker" else self._utterance_units).take(units)

    @cached_property
    def _utterance_units(self) -> ChallengeUnits:
        return ChallengeUnits.of(self.table[self.table["part"] == "trained"], "utterance", self.inclusion)

    @cached_property
    def _speaker_units(self) -> ChallengeUnits:
        rows = self.table[self.table["part"] == "trained"].drop_duplicates("speaker")
        return ChallengeUnits.of(rows, "speaker", self.inclusion)

    def save(self, path: str | Path) -> None:
        """Write the split.

        The table goes to `path` (CSV), level, origin and hash to a .json file beside it.

        Raises:
            InputError: the folder cannot be written.
        """
        description = {"level": self.level, "drawn": self.drawn, "sha256": self.sha256, **self._non_default}
        write_split(Path(path), self.table, description)

    def save_once(self, path: str | Path) -> None:
        """Write the split, or add columns of further shadow models.

        Raises:
            InputError: `path` contains another split, or the folder cannot be written.
        """
        if not Path(path).exists():
            self.save(path)
            return
        saved = Split.load(path)
        if saved.sha256 != self.sha256:
            raise InputError(
                f"{path} is another split (hash {saved.sha256[:12]} stored, {self.sha256[:12]} requested): the corpus, "
                "the design or its seed changed; give another run directory, or the old settings"
            )
        common = saved.shadows[: len(self.shadows)]
        if changed := [name for name in common if not np.array_equal(saved.table[name], self.table[name])]:
            raise InputError(
                f"{path} has other members for {list_first(changed)} than requested: the shadow models are drawn from "
                "another pool, or the file was changed; give another run directory, or the old settings"
            )
        if len(self.shadows) > len(saved.shadows):
            self.save(path)

    @classmethod
    def load(cls, path: str | Path) -> "Split":
        """Read a split written by `save`.

        Raises:
            InputError: a file is missing, malformed, or was changed since it was written.
        """
        table, description = read_split(
            Path(path), LEADING_COLUMNS, TRAILING_COLUMNS, ROLES, OPTIONAL_COLUMNS, counts=(EXPOSURES,)
        )
        inclusion = description.get("inclusion", "balanced")
        split = cls(table, description["level"], description["drawn"], inclusion)
        if split.sha256 != description["sha256"]:
            raise InputError(
                f"{path} was changed since it was written (its hash is {split.sha256}, but "
                f"{Path(path).with_suffix('.json').name} records {description['sha256']}); {REMEDY}"
            )
        return split


def _challenge(rows: pd.DataFrame, unit: str) -> pd.DataFrame:
    columns = {"id": rows["id"], "unit_id": rows[unit], "speaker": rows["speaker"], "member": rows["target"]}
    return pd.DataFrame(columns).reset_index(drop=True)


def _has_enough_speakers(rows: pd.DataFrame) -> bool:
    members = rows.drop_duplicates("speaker")["target"]
    return bool(min(members.sum(), (~members).sum()) >= MIN_UNITS_PER_CLASS)
