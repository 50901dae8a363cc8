"""Command `split`: draw members, and write training lists for any trainer."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lightning_mia.corpora import Corpus, Manifest
from lightning_mia.corpora.audio.cache import read_contents
from lightning_mia.splits.base import Design
from lightning_mia.splits.drawn_folder.drawn import README, save_drawn
from lightning_mia.splits.drawn_folder.list_formats import parse_formats
from lightning_mia.splits.sampling.membership import Inclusion
from lightning_mia.splits.sampling.training_sets import Background
from lightning_mia.splits.speaker_split import SpeakerDesign
from lightning_mia.splits.split import Level
from lightning_mia.splits.utterance_split import UtteranceDesign
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import check_folder
from lightning_mia.utilities.ranges import CountOrNone, Seed, Size, check_ranges

EXAMPLE = """
Train on the lists with any trainer, then audit the checkpoint by `lightning-mia attack --split`.
Example: lightning-mia split manifest.csv --out S --n_units 2000 --n_auxiliary 500 --shadows 4 --background rest
--formats csv,nemo,fairseq,kaldi,huggingface"""

DEFAULT_UNITS = {"utterance": (400, 200), "speaker": (40, 10)}
"""Challenge and auxiliary units, as in the designs."""

log = logging.getLogger(__name__)


def draw_split(
    manifest: str | None,
    out: str,
    corpus: Corpus | None = None,
    level: Level = "utterance",
    n_units: Size | None = None,
    n_auxiliary: Size | None = None,
    trained_per_speaker: Size = 20,
    held_back_per_speaker: Size = 10,
    background: Background = "none",
    exposures: list[int] | None = None,
    inclusion: Inclusion = "balanced",
    shadows: CountOrNone = 0,
    seed: Seed = 0,
    formats: str = "csv",
    on_bad_audio: Literal["error", "skip"] = "error",
    max_seconds: float | None = None,
    cache_dir: str | None = None,
) -> Path:
    """Draw a split, and write what each model is to be trained on.

    Every file is read once, since the same audio under two names must be on one side; lengths and hashes are kept in
    the cache.

    Args:
        manifest: CSV, JSON Lines or fairseq TSV.
        out: folder to write: split.csv, split.json, recordings.csv, train/, README.md.
        corpus: a corpus, such as LibriSpeech; instead of a manifest.
        level: unit of membership.
        n_units: challenge units, half of them members; by default 400 utterances or 40 speakers.
        n_auxiliary: auxiliary units, in no list; by default 200 utterances or 10 speakers.
        trained_per_speaker: at speaker level, recordings of a member speaker that are trained on.
        held_back_per_speaker: at speaker level, recordings of a member speaker that are not trained on.
        background: other recordings, in every list: `none`, `rest` (all), or how many; at speaker level, those of
            speakers that are not drawn.
        exposures: how often members are in an epoch, such as "[1, 4, 16]" for a random third each; by default once.
        inclusion: `balanced`: exactly half of the units are members; `independent`: a fair coin decides for each.
        shadows: shadow models, in complementary pairs.
        seed: seed of the draw.
        formats: formats of the lists, separated by commas: csv, nemo, fairseq, kaldi, huggingface.
        on_bad_audio: `error` refuses a corpus with an unusable recording; `skip` omits such recordings.
        max_seconds: longer recordings are unusable (seconds); by default there is no limit.
        cache_dir: folder of lengths and hashes; by default LIGHTNING_MIA_CACHE, or .cache/lightning_mia in the home
            folder.

    Returns:
        The README of the folder.

    Raises:
        InputError: `manifest` and `corpus` are both given, or neither; the corpus cannot be read, is labelled or too
            small; the folder holds another split, or a format cannot hold a recording.
    """
    if (manifest is None) == (corpus is None):
        raise InputError("split draws from one corpus: give either a manifest or --corpus")
    numbers = {"n_units": n_units, "n_auxiliary": n_auxiliary, "shadows": shadows, "seed": seed}
    check_ranges(draw_split, numbers, "--")
    chosen, folder = parse_formats(formats), Path(out).expanduser()
    check_folder(folder)
    design = _design(level, (n_units, n_auxiliary), trained_per_speaker, held_back_per_speaker)
    design = type(design)(**{**vars(design), "background": background, "exposures": exposures, "inclusion": inclusion})
    table = (corpus or Manifest(str(manifest))).table()
    if "member" in table:
        raise InputError(
            "The corpus says who is a member (column member), but split draws members at random: drop the column, or "
            "audit the labels as they are by `lightning-mia attack`"
        )
    audio, skipped = read_contents(
        table,
        cache_dir=Path(cache_dir).expanduser() if cache_dir else None,
        on_bad_audio=on_bad_audio,
        max_seconds=max_seconds,
    )
    if len(skipped):
        named = list_first([f"{row.path}: {row.reason}" for row in skipped.itertuples()])
        log.warning("%d recordings are omitted: %s", len(skipped), named)
    table = table[table["id"].isin(audio.index)].reset_index(drop=True)
    if "fairseq" in chosen and (other := audio["source_rate"] != 16_000).any():
        log.warning("fairseq reads 16 kHz only, but %d recordings have another sampling rate", other.sum())
    contents = dict(zip(audio.index.astype(str), audio["sha256"].astype(str), strict=True))
    split = design.draw(table, contents, n_shadows=shadows, seed=seed)
    save_drawn(folder, split, table, audio, design, seed, chosen)
    return folder / README


def _design(level: Level, sizes: Sequence[int | None], trained_per_speaker: int, held_back_per_speaker: int) -> Design:
    n_units, n_auxiliary = (
        default if size is None else size for size, default in zip(sizes, DEFAULT_UNITS[level], strict=True)
    )
    if level == "utterance":
        return UtteranceDesign(n_units, n_auxiliary)
    return SpeakerDesign(n_units, n_auxiliary, trained_per_speaker, held_back_per_speaker)
