"""Who is IN and who is OUT, who is judged, and how the labels could have fallen otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from lightning_mia.splits.sampling.membership import Purpose, permute_within_strata, stream
from lightning_mia.splits.sampling.recordings import MIN_QUERIES, equal_queries
from lightning_mia.splits.sampling.sizes import MIN_UNITS_A_SIDE
from lightning_mia.splits.split_file import REMEDY, read_split, write_split
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import hash_of

Level = Literal["utterance", "speaker"]
Part = Literal["trained", "held_back"]

ROLES = ("member", "nonmember", "held_back", "auxiliary")
LEADING_COLUMNS = ("id", "speaker", "role", "trained", "target")
TRAILING_COLUMNS = ("unit", "stratum", "part", "audio")


@dataclass(frozen=True, eq=False)
class Split:
    """Membership of every recording, for the target and for every shadow model.

    Attributes:
        table: one row a recording, sorted by id, with the columns
            `id`, `speaker`;
            `role`, one of `ROLES`;
            `trained` (bool), the target trains on this very recording;
            `target`, `shadow_000`, … (bool), the row's unit is IN for that model;
            `unit`, what is drawn as a whole;
            `stratum`, labels are permuted among the units of one stratum ("" for auxiliary recordings);
            `part`, what the recording is for if its unit is IN: "trained" or "held_back" ("" if auxiliary);
            `audio`, the first id with the very same audio.
        level: "utterance" or "speaker", as the split was drawn or asked for.
        drawn: the labels were drawn at random by this tool; False: the user brought them.
    """

    table: pd.DataFrame
    level: Level
    drawn: bool

    @cached_property
    def sha256(self) -> str:
        """Hash of everything but the shadows' columns: a larger fleet does not change it."""
        rows = self.table[[*LEADING_COLUMNS, *TRAILING_COLUMNS]].astype(str).to_numpy().tolist()
        return hash_of({"level": self.level, "drawn": self.drawn, "rows": rows})

    @property
    def shadows(self) -> list[str]:
        """Names of the shadow models, in order."""
        return [name for name in self.table.columns if name.startswith("shadow_")]

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """Levels at which the split is judged: a drawn one at its own; a ready-made one perhaps at both."""
        if self.drawn:
            return (self.level,)
        return ("utterance", "speaker") if self.parts("speaker") else ("utterance",)

    def parts(self, level: Level) -> tuple[Part, ...]:
        """Parts that the challenge set of a level can be made of, the default first; empty: none."""
        if level == "utterance":
            return ("trained",)
        parts: tuple[Part, ...] = ("held_back", "trained")
        return tuple(part for part in parts if _enough_speakers(self._speaker_queries[part]))

    def training_ids(self, model: str = "target") -> list[str]:
        """Recordings that a model ("target", "shadow_000", …) trains on, by id."""
        if model not in ("target", *self.shadows):
            raise ValueError(f"No model {model!r} in this split: it has target and {len(self.shadows)} shadows")
        rows = self.table[self.table[model]]
        of_pool = rows[rows["role"] == "auxiliary"]
        n_trained = self.table[self.table["part"] == "trained"].groupby("unit").size().max()
        of_pool = of_pool[of_pool.groupby("unit").cumcount() < n_trained]
        return [*rows["id"][rows["part"] == "trained"], *of_pool["id"]]

    def auxiliary(self) -> pd.DataFrame:
        """The adversary's own recordings, the same audio once: `id`, `speaker`; in no model's training set."""
        rows = self.table[(self.table["role"] == "auxiliary") & ~self._in_pool]
        return rows[rows["id"] == rows["audio"]][["id", "speaker"]].reset_index(drop=True)

    def auxiliary_ids(self) -> list[str]:
        """The adversary's own recordings, by id: in no model's training set, never judged."""
        return list(self.table["id"][(self.table["role"] == "auxiliary") & ~self._in_pool])

    def pool(self) -> pd.DataFrame | None:
        """The recordings that a fleet was drawn from which never saw a challenge unit: `id`, `unit_id`, `speaker`."""
        rows = self.table[self._in_pool]
        if rows.empty:
            return None
        return rows[["id", "unit", "speaker"]].rename(columns={"unit": "unit_id"}).reset_index(drop=True)

    @property
    def _in_pool(self) -> pd.Series:
        return (self.table["role"] == "auxiliary") & self.table[self.shadows].any(axis=1)

    def challenge(self, level: Level, part: Part | None = None) -> pd.DataFrame:
        """List the recordings that are judged; the same audio under several ids once, under the first.

        Args:
            level: "utterance": the trained part of IN and of OUT units (in a drawn speaker design too);
                "speaker": equally many recordings of every speaker.
            part: at speaker level, which recordings of a member speaker are asked about; by default held-back
                ones, where there are any. In a drawn split OUT speakers are asked about the same part; in a
                ready-made one, about any of theirs.

        Returns:
            One row a judged recording, sorted by id: `id`; `unit_id`, its id or its speaker; `speaker`;
            `member` (bool).

        Raises:
            InputError: the split cannot be judged at that level, or on that part.
        """
        if level == "utterance":
            if part == "held_back":
                raise ValueError("Held-back recordings are judged at speaker level only")
            rows = self.table[(self.table["part"] == "trained") & (self.table["id"] == self.table["audio"])]
            return _challenge(rows, unit="id")
        if part is None:
            part = "held_back" if "held_back" in self.parts("speaker") else "trained"
        rows = self._speaker_queries[part]
        if not _enough_speakers(rows):
            raise InputError(
                f"The split cannot be judged at speaker level on {part} recordings: that takes "
                f"{MIN_UNITS_A_SIDE} speakers a side, each on one side only and with {MIN_QUERIES} of "
                "them; choose the utterance level or another split"
            )
        return _challenge(rows, unit="speaker")

    @cached_property
    def _speaker_queries(self) -> "dict[Part, pd.DataFrame]":
        """Rows that speakers are asked about, by part; none where speakers were not drawn, or are on both sides."""
        rows = self.table[(self.table["part"] != "") & (self.table["id"] == self.table["audio"])]
        by_speaker = self.level == "speaker" if self.drawn else (rows["unit"] == rows["speaker"]).all()
        if not by_speaker:
            return {"held_back": rows.iloc[:0], "trained": rows.iloc[:0]}
        # A non-member speaker of a ready-made split has no held-back recordings: any will do for either part.
        either = ~rows["target"] & (not self.drawn)
        return {part: equal_queries(rows[(rows["part"] == part) | either]) for part in ("held_back", "trained")}

    def redraw(self, units: Sequence[str], level: str, n: int, seed: int) -> np.ndarray:
        """Redraw the labels of judged units by the mechanism that gave the split its labels.

        Within every stratum the labels of the given units are permuted uniformly, so that a redraw has as
        many IN units in every stratum as the split itself. What was drawn as a whole stays whole: at
        utterance level of a speaker design, and of speakers who stand on one side of a ready-made split, a
        speaker's recordings keep a common label (and, where these speakers are not equally rich, the number
        of member recordings varies from redraw to redraw).

        Args:
            units: unit_ids of the challenge set, or some of them; their labels do not depend on their order.
            level: that of the challenge set.
            n: number of redraws.
            seed: of the redraws; they are independent of the split, even where its seed is the same.

        Returns:
            (n, units) bool: member or not, under each redraw.

        Raises:
            ValueError: a unit that is not judged at this level.
        """
        judged = self._of_speakers if level == "speaker" else self._of_utterances
        place = judged.names.get_indexer(pd.Index(units))
        if level not in (*self.levels, "utterance") or (place < 0).any():
            raise ValueError(f"Some of the {len(place)} units are not judged at {level} level in this split")
        _, first, of_unit = np.unique(judged.wholes[place], return_index=True, return_inverse=True)
        labels, strata = judged.labels[place[first]], judged.strata[place[first]]
        packed = _permuted(labels.tobytes(), strata.astype(np.int64).tobytes(), n, seed)
        redrawn = np.unpackbits(packed, axis=1, count=len(labels)).view(bool)  # (n, whole)
        in_order = len(of_unit) == len(labels) and (of_unit == np.arange(len(labels))).all()
        return redrawn if in_order else redrawn[:, of_unit]

    @cached_property
    def _of_utterances(self) -> "_Judged":
        return _judged(self.table[self.table["part"] == "trained"], "id")

    @cached_property
    def _of_speakers(self) -> "_Judged":
        return _judged(self.table[self.table["part"] == "trained"].drop_duplicates("speaker"), "speaker")

    def save(self, path: str | Path) -> None:
        """Write `path` (CSV, flags as 1 and 0) and, with the suffix .json, level, origin and hash.

        Raises:
            InputError: the folder cannot be written to.
        """
        write_split(Path(path), self.table, {"level": self.level, "drawn": self.drawn, "sha256": self.sha256})

    def save_once(self, path: str | Path) -> None:
        """Write the split where there is none yet; one that is there has to be this one, perhaps with another fleet.

        A larger fleet adds its columns to the file; a smaller one leaves the columns that are there.

        Raises:
            InputError: `path` holds another split, or the folder cannot be written to.
        """
        if not Path(path).exists():
            self.save(path)
            return
        there = Split.load(path)
        if there.sha256 != self.sha256:
            raise InputError(
                f"{path} is another split (hash {there.sha256[:12]} there, {self.sha256[:12]} asked for): the corpus, "
                "the design or its seed changed; give another run directory, or the old settings"
            )
        common = there.shadows[: len(self.shadows)]
        if changed := [name for name in common if not np.array_equal(there.table[name], self.table[name])]:
            raise InputError(
                f"{path} has other members for {list_first(changed)} than are asked for: the fleet is drawn from "
                "another pool, or the file was changed; give another run directory, or the old settings"
            )
        if len(self.shadows) > len(there.shadows):
            self.save(path)

    @classmethod
    def load(cls, path: str | Path) -> "Split":
        """Read a split that `save` wrote.

        Raises:
            InputError: a file is missing, is not a split, or was changed since it was written.
        """
        table, description = read_split(Path(path), LEADING_COLUMNS, TRAILING_COLUMNS, ROLES)
        split = cls(table, level=description["level"], drawn=description["drawn"])
        if split.sha256 != description["sha256"]:
            raise InputError(
                f"{path} was changed since it was written (its hash is {split.sha256}, but "
                f"{Path(path).with_suffix('.json').name} says {description['sha256']}); {REMEDY}"
            )
        return split


@dataclass(frozen=True)
class _Judged:
    """Units that may be judged, as arrays: labels are redrawn thousands of times in one audit."""

    names: pd.Index
    wholes: np.ndarray  # (units,) int: what is drawn as a whole, in the order of stratum and unit
    labels: np.ndarray  # (units,) bool: IN for the target
    strata: np.ndarray  # (units,) int, in the order of their names


def _judged(rows: pd.DataFrame, name: str) -> _Judged:
    # A speaker and an utterance may have one name, but not in one stratum.
    wholes = np.unique(rows["stratum"] + "\n" + rows["unit"], return_inverse=True)[1]
    strata = np.unique(rows["stratum"], return_inverse=True)[1]
    return _Judged(pd.Index(rows[name]), wholes, rows["target"].to_numpy(), strata)


@lru_cache(maxsize=1)  # controls, attacks and whole sets are judged by the same redraws, one after the other
def _permuted(labels: bytes, strata: bytes, n: int, seed: int) -> np.ndarray:
    """Labels permuted within their strata `n` times, (n, ⌈wholes / 8⌉) uint8: eight to a byte, so as to be kept."""
    of_wholes, of_strata = np.frombuffer(labels, dtype=bool), np.frombuffer(strata, dtype=np.int64)
    return np.packbits(permute_within_strata(of_wholes, of_strata, n, stream(seed, Purpose.REDRAW)), axis=1)


def _challenge(rows: pd.DataFrame, unit: str) -> pd.DataFrame:
    judged = {"id": rows["id"], "unit_id": rows[unit], "speaker": rows["speaker"], "member": rows["target"]}
    return pd.DataFrame(judged).reset_index(drop=True)


def _enough_speakers(rows: pd.DataFrame) -> bool:
    members = rows.drop_duplicates("speaker")["target"]
    return bool(min(members.sum(), (~members).sum()) >= MIN_UNITS_A_SIDE)
