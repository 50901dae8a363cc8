"""Read a table of membership signals of any model."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lightning_mia.utilities.errors import InputError, list_first

if TYPE_CHECKING:
    from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
REQUIRED = ("id", "member", "target")
COLUMNS = "id, member, target, and optionally group, shadow_000, in_000, shadow_001, in_001, …"
TRUTHS = {"1": True, "0": False, "1.0": True, "0.0": False, "true": True, "false": False}
SHADOW, INSIDE = re.compile(r"shadow_(\d+)"), re.compile(r"in_(\d+)")
MIN_SHADOWS = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SignalsTable:
    """Signals of target and shadow models; units in ascending order of their ids.

    Attributes:
        ids: (n,) names of the evaluated units.
        members: (n,) bool.
        groups: (n,) str; None without a column `group`.
        target: (n,) float64.
        shadows: (K, n) float64; K may be 0.
        inside: (K, n) bool.
        auxiliary_target: (a,) float64, units in no training set of the target.
        auxiliary_shadows: (K, a).
        auxiliary_inside: (K, a) bool.
    """

    ids: list[str]
    members: np.ndarray
    groups: np.ndarray | None
    target: np.ndarray
    shadows: np.ndarray
    inside: np.ndarray
    auxiliary_target: np.ndarray
    auxiliary_shadows: np.ndarray
    auxiliary_inside: np.ndarray

    def matrix(self) -> "SignalMatrix":
        """Return the standardised signals, as attacks compare them.

        As in an audit: every model's signals are centred and scaled by the evaluated units. If shadow models were
        trained on auxiliary units instead, these teach the attacks what membership looks like.
        """
        from lightning_mia.attacks.shadow_models.arrays import complementary_pairs
        from lightning_mia.attacks.shadow_models.signal_matrix import SUFFICIENT_AUXILIARY, SignalMatrix
        from lightning_mia.attacks.shadow_models.units import standardise

        is_pool = not self.inside.any() and self.auxiliary_inside.any()
        in_pool = self.auxiliary_inside.any(axis=0) if is_pool else np.zeros(len(self.auxiliary_target), dtype=bool)
        by_auxiliary = is_pool and int((~in_pool).sum()) >= SUFFICIENT_AUXILIARY
        evaluated = np.vstack([self.target, self.shadows])  # (1 + K, n)
        auxiliary = np.vstack([self.auxiliary_target, self.auxiliary_shadows])  # (1 + K, a)
        reference = auxiliary[:, ~in_pool] if by_auxiliary else evaluated
        scaled, others = (
            np.stack([standardise(row, own) for row, own in zip(rows, reference, strict=True)])[..., None]
            for rows in (evaluated, auxiliary)
        )
        return SignalMatrix(
            units=pd.Index(self.ids),
            target=scaled[0],
            shadows=scaled[1:],
            members=self.inside,
            auxiliary_target=others[0, ~in_pool],
            auxiliary_shadows=others[1:, ~in_pool],
            pairs=complementary_pairs(self.auxiliary_inside[:, in_pool] if is_pool else self.inside),
            learning_shadows=others[1:, in_pool] if is_pool else scaled[1:],
            learning_members=self.auxiliary_inside[:, in_pool] if is_pool else self.inside,
        )


def read_signals(path: Path, delimiter: str | None = None) -> SignalsTable:
    """Read a table of signals.

    Args:
        path: CSV file in UTF-8.
        delimiter: between the columns; None: the one that gives the required columns.

    Raises:
        InputError: the file cannot be read, a column is missing, or a value is not what its column holds.
    """
    rows = _read(path, delimiter)
    _check_ids(path, rows)
    models = _shadow_models(path, rows)
    member = rows["member"].str.lower()
    _refuse_values(path, rows, "member", ~member.isin([*TRUTHS, ""]), "1, 0, or nothing (auxiliary)")
    is_evaluated = (member != "").to_numpy()
    target = _numbers(path, rows, "target")
    shadows = np.array([_numbers(path, rows, f"shadow_{model}") for model in models]).reshape(len(models), len(rows))
    inside = np.zeros(shadows.shape, dtype=bool)
    for number, model in enumerate(models):
        if f"in_{model}" in rows:
            inside[number] = _truths(path, rows, f"in_{model}")
    evaluated = rows[is_evaluated]
    groups = None
    if "group" in rows:
        _refuse_values(path, evaluated, "group", evaluated["group"] == "", "the name of a group, such as a speaker")
        groups = evaluated["group"].to_numpy(str)
    return SignalsTable(
        ids=evaluated["id"].to_list(),
        members=member[is_evaluated].map(TRUTHS).to_numpy(bool),
        groups=groups,
        target=target[is_evaluated],
        shadows=shadows[:, is_evaluated],
        inside=inside[:, is_evaluated],
        auxiliary_target=target[~is_evaluated],
        auxiliary_shadows=shadows[:, ~is_evaluated],
        auxiliary_inside=inside[:, ~is_evaluated],
    )


def _read(path: Path, delimiter: str | None) -> pd.DataFrame:
    """Read all cells as text, sorted by id; the index is the line number."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            header = file.readline().rstrip("\r\n")
        delimiter = delimiter or _sniff(path, header)
        rows = pd.read_csv(path, sep=delimiter, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; give a CSV file with the columns {COLUMNS}") from error
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        cause = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read ({cause}); give a CSV file in UTF-8") from error
    rows.columns = rows.columns.str.strip()
    rows = rows.apply(lambda column: column.fillna("").str.strip())
    missing = [name for name in REQUIRED if name not in rows]
    if missing:
        raise InputError(f"{path}, line 1: no column {' and '.join(missing)}; the columns are {COLUMNS}")
    rows.index += 2
    if "id" in rows and rows.empty:
        raise InputError(f"{path} has no rows below its header; give one per unit")
    return rows.sort_values("id", kind="stable")


def _sniff(path: Path, header: str) -> str:
    """Find the delimiter that gives the required columns."""
    names = {sign: {name.strip().strip('"') for name in header.split(sign)} for sign in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda sign: sum(name in names[sign] for name in REQUIRED))
    if delimiter != ",":
        log.info("%s has %s between its columns", path, DELIMITERS[delimiter])
    return delimiter


def _check_ids(path: Path, rows: pd.DataFrame) -> None:
    _refuse_values(path, rows, "id", rows["id"] == "", "a name")
    repeated = rows["id"][rows["id"].duplicated(keep=False)]
    if len(repeated):
        names = list_first(list(dict.fromkeys(repeated)))
        raise InputError(f"{path}: {repeated.nunique()} ids occur more than once: {names}; give one row per unit")


def _shadow_models(path: Path, rows: pd.DataFrame) -> list[str]:
    """Return the numbers of the shadow models, as they are written."""
    shadows = [match[1] for name in rows.columns if (match := SHADOW.fullmatch(name))]
    inside = [match[1] for name in rows.columns if (match := INSIDE.fullmatch(name))]
    if unmatched := sorted(set(inside) - set(shadows)) or (sorted(set(shadows) - set(inside)) if inside else []):
        names = list_first([f"in_{model} and shadow_{model}" for model in unmatched])
        raise InputError(f"{path}, line 1: one of two columns is missing: {names}; give both, or no column in_…")
    if len(shadows) == 1:
        raise InputError(
            f"{path}: shadow_{shadows[0]} is the only shadow model; give at least {MIN_SHADOWS}, or drop the column"
        )
    known = {*REQUIRED, "group", *(f"{kind}_{model}" for model in shadows for kind in ("shadow", "in"))}
    if unused := [str(name) for name in rows.columns if name not in known]:
        log.warning("%s: columns that are not used: %s", path, list_first(unused))
    return shadows


def _numbers(path: Path, rows: pd.DataFrame, column: str) -> np.ndarray:
    numbers = pd.to_numeric(rows[column], errors="coerce").to_numpy(np.float64)
    has_comma = bool(rows[column].str.contains(",", regex=False).any())
    hint = "a finite number" + (", with a decimal point instead of a comma" if has_comma else "")
    _refuse_values(path, rows, column, ~np.isfinite(numbers), hint)
    return numbers


def _truths(path: Path, rows: pd.DataFrame, column: str) -> np.ndarray:
    values = rows[column].str.lower()
    _refuse_values(path, rows, column, ~values.isin(TRUTHS), "1 or 0")
    return values.map(TRUTHS).to_numpy(bool)


def _refuse_values(path: Path, rows: pd.DataFrame, column: str, bad: "pd.Series | np.ndarray", expected: str) -> None:
    if not np.any(bad):
        return
    first = rows[np.asarray(bad)].sort_index()
    raise InputError(
        f"{path}, line {first.index[0]}: {column} is {first[column].iloc[0]!r}; give {expected}"
        + (f" ({len(first)} such rows)" if len(first) > 1 else "")
    )
