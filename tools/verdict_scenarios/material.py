"""Recordings of the scenarios: pieces of the built-in voices, or of a manifest."""

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from lightning_mia.corpora import Corpus

PIECE_SECONDS = 0.25
MAX_PIECES = 10  # of one recording


def cut(corpus: Corpus, folder: Path, seconds: float = PIECE_SECONDS) -> pd.DataFrame:
    """Cut recordings into pieces: many units, at little cost.

    Returns:
        Columns `id`, `path`, `speaker` and `session`, the recording that the piece was cut from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    table = corpus.table()
    for path, speaker in zip(map(Path, table["path"]), table["speaker"], strict=True):
        samples, rate = soundfile.read(path, dtype="int16")
        length = int(seconds * rate)
        parts = [samples[start : start + length] for start in range(0, len(samples) - length + 1, length)]
        audible = [part for part in parts if np.abs(part).max() > 200][:MAX_PIECES]
        for number, piece in enumerate(audible):
            name = f"{path.parent.name}_{path.stem}_{number:02d}"
            if not (folder / f"{name}.wav").exists():
                soundfile.write(folder / f"{name}.wav", piece, rate)
            rows.append({"id": name, "path": str(folder / f"{name}.wav"), "speaker": speaker})
    pieces = pd.DataFrame(rows)
    return pieces.assign(session=pieces["id"].str.rsplit("_", n=1).str[0])


def draw(table: pd.DataFrame, sizes: dict[str, int], seed: int) -> pd.DataFrame:
    """Draw a user-supplied split at random: equally many of each speaker.

    Args:
        table: recordings.
        sizes: value of the column `member` → number of recordings.
        seed: of the draw.
    """
    shuffled = table.sample(frac=1, random_state=seed)
    in_turn = shuffled.assign(rank=shuffled.groupby("speaker").cumcount()).sort_values(
        ["rank", "speaker"], kind="stable"
    )
    labels = [value for value, n in sizes.items() for _ in range(n)]
    order = np.random.default_rng(seed).permutation(len(labels))
    kept = in_turn.iloc[: len(labels)].drop(columns="rank")
    return kept.assign(member=np.array(labels)[order]).sort_values("id")


def by_session(table: pd.DataFrame, n_per_session: int, seed: int) -> pd.DataFrame:
    """Label half of each speaker's sessions as members.

    The last session of each speaker is auxiliary.

    Args:
        table: recordings with `session`.
        n_per_session: recordings of each session that are kept.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    labels: dict[str, str] = {}
    for _, sessions in table.groupby("speaker")["session"]:
        *evaluated, last = rng.permutation(sorted(set(sessions)))
        half = len(evaluated) // 2
        labels |= dict(zip(evaluated, ["1"] * half + ["0"] * (len(evaluated) - half), strict=True)) | {last: ""}
    kept = table.groupby("session").head(n_per_session)
    return kept.assign(member=kept["session"].map(labels))


def louder(table: pd.DataFrame, folder: Path, factor: float) -> pd.DataFrame:
    """Write amplified copies, and return a table that names them."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for row in table.itertuples():
        samples, rate = soundfile.read(row.path)
        soundfile.write(folder / f"{row.id}.wav", np.clip(factor * samples, -1, 1), rate)
        paths.append(str(folder / f"{row.id}.wav"))
    return table.assign(path=paths)
