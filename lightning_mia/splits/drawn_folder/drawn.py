"""Folder of a drawn split: members, recordings and training lists."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd

from lightning_mia.corpora.manifest import Manifest
from lightning_mia.splits.base import Design
from lightning_mia.splits.drawn_folder.list_formats import Format
from lightning_mia.splits.drawn_folder.readme import readme
from lightning_mia.splits.drawn_folder.training_lists import write_lists
from lightning_mia.splits.split import Split
from lightning_mia.splits.split_file import write_table
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import atomic_path, hash_of_file, write_json, write_text

SPLIT, DESCRIPTION, RECORDINGS, README = "split.csv", "split.json", "recordings.csv", "README.md"
AUDIO_SHA256 = "audio_sha256"
RECORDING_COLUMNS = ("path", "speaker", "text", "duration", "session", "gender", "accent")

REMEDY = "restore it, or draw the split again into another folder"


@dataclass(frozen=True)
class DrawnFolder:
    """A split that was drawn for models trained elsewhere.

    Attributes:
        folder: its folder.
        split: members of target and shadow models.
        table: utterance table of its recordings; see `Corpus.table`.
        contents: SHA-256 of the decoded audio at the time of the draw, by id.
        created: time of the draw.

    Example:
        Read what `lightning-mia split M.csv --out S` wrote:

            drawn = DrawnFolder.load("S")
            drawn.split.training_ids("shadow_000")
    """

    folder: Path
    split: Split
    table: pd.DataFrame
    contents: Mapping[str, str]
    created: datetime

    @classmethod
    def load(cls, folder: str | Path) -> "DrawnFolder":
        """Read a folder, and check that nothing in it was edited.

        Raises:
            InputError: a file is missing, or was changed since it was written.
        """
        folder = Path(folder).expanduser()
        description = _description(folder)
        _check_files(folder, description["files"])
        split = Split.load(folder / SPLIT)
        table = Manifest(str(folder / RECORDINGS)).table()
        hashes = pd.read_csv(folder / RECORDINGS, dtype=str, keep_default_na=False, usecols=["id", AUDIO_SHA256])
        contents = dict(zip(hashes["id"], hashes[AUDIO_SHA256], strict=True))
        return cls(folder, split, table, contents, datetime.fromisoformat(description["created"]))

    def check_audio(self, contents: Mapping[str, str]) -> None:
        """Check that recordings are those of the draw.

        Args:
            contents: SHA-256 of the decoded audio, by id.

        Raises:
            InputError: the audio of a recording changed.
        """
        changed = [name for name, sha256 in contents.items() if self.contents.get(name) != sha256]
        if changed:
            raise InputError(
                f"The audio of {len(changed)} of {len(contents)} recordings changed since {self.folder} was drawn "
                f"({self.created:%Y-%m-%d %H:%M}): {list_first(changed)}; restore the files, or draw a new split and "
                "train on it"
            )


def save_drawn(
    folder: Path,
    split: Split,
    table: pd.DataFrame,
    audio: pd.DataFrame,
    design: Design,
    seed: int,
    formats: Sequence[Format],
) -> None:
    """Write the folder, or add formats and shadow models to it.

    Args:
        folder: its folder.
        split: drawn split.
        table: utterance table of the corpus.
        audio: `sha256`, `duration`, `n_samples` and `source_rate` of the usable recordings, index = id.
        design: design of the split.
        seed: seed of the split.
        formats: formats of the lists.

    Raises:
        InputError: the folder has another split, or was edited; a format cannot hold a recording.
    """
    described: dict[str, Any] = {"class": type(design).__name__}
    described |= asdict(design) if is_dataclass(design) else {}
    created, files = datetime.now(timezone.utc).isoformat(timespec="seconds"), {}
    if (folder / DESCRIPTION).exists():
        known = _description(folder)
        _check_files(folder, known["files"])
        saved = Split.load(folder / SPLIT)
        if saved.sha256 != split.sha256 or any(
            not saved.table[name].equals(split.table[name]) for name in saved.shadows if name in split.shadows
        ):
            raise InputError(
                f"{folder} has another split (hash {saved.sha256[:12]} stored, {split.sha256[:12]} requested): the "
                "corpus, the design or the seed changed; give another folder, or the old settings"
            )
        created, files = known["created"], known["files"]
        split = saved if len(saved.shadows) > len(split.shadows) else split
    recordings = _recordings(split, table, audio)
    lists = write_lists(folder, split, recordings, formats)
    columns = [name for name in RECORDING_COLUMNS if name in recordings]
    with atomic_path(folder / RECORDINGS) as temporary:
        recordings[columns].assign(**{AUDIO_SHA256: recordings["sha256"]}).to_csv(temporary, lineterminator="\n")
    write_text(folder / README, readme(split, folder, [*(name for name in files if "/" in name), *lists]))
    write_table(folder / SPLIT, split.table)
    hashes = lists | {name: hash_of_file(folder / name) for name in (RECORDINGS, SPLIT)}
    description = {
        "level": split.level,
        "drawn": True,
        "sha256": split.sha256,
        "inclusion": split.inclusion,
        "seed": seed,
        "design": described,
        "created": created,
        "files": dict(sorted({**files, **hashes}.items())),
    }
    write_json(folder / DESCRIPTION, description)


def _recordings(split: Split, table: pd.DataFrame, audio: pd.DataFrame) -> pd.DataFrame:
    """Join table and audio of the split's recordings, index = id."""
    rows = table.set_index("id").drop(columns="duration", errors="ignore").join(audio, how="inner")
    rows = rows.loc[split.table["id"].to_list()].rename_axis("id")
    return rows.assign(duration=rows["duration"].round(6))


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        datetime.fromisoformat(description["created"])
        return {**description, "files": dict(description["files"])}
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; draw a split with `lightning-mia split`") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} was not written by `lightning-mia split`; give the folder that it wrote") from error


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Compare all files with their hashes."""
    for name, sha256 in files.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path} is missing; {REMEDY}")
        if hash_of_file(path) != sha256:
            raise InputError(f"{path} was changed since it was drawn; {REMEDY}")
