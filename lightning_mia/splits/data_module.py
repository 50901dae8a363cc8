"""Data module: decode a corpus and draw its split."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import lightning as L
import numpy as np
import pandas as pd

from lightning_mia.corpora import Corpus
from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.corpora.audio.decoding import MIN_SECONDS
from lightning_mia.corpora.audio.preparation import MAX_SECONDS, OnLongAudio, prepare_audio
from lightning_mia.corpora.base import speaker_facts
from lightning_mia.corpora.loading.augmentation import (
    NO_SPEC_AUGMENT,
    NO_TIME_MASKING,
    SpecAugment,
    TimeMasking,
    WaveformChanges,
)
from lightning_mia.corpora.loading.batch_sampler import count_batches
from lightning_mia.corpora.loading.datasets import Recordings, TrainingRecordings
from lightning_mia.splits import Design, Split, UtteranceDesign, predefined
from lightning_mia.splits.auxiliary_pool import Pool, draw_from_pool
from lightning_mia.splits.drawn_folder.drawn import DrawnFolder
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.splits.matching.subset import matched_subset
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import hash_of
from lightning_mia.utilities.ranges import Processes, Range, Seconds, Seed, check_ranges

logger = logging.getLogger(__name__)


class SpeechDataModule(L.LightningDataModule):
    """Options of corpus, split and batches; `load` applies them.

    Args:
        corpus: source of the recordings. A manifest with a `member` column is a predefined split.
        design: how members are drawn, unless the corpus predefines them; the unit is an utterance or a speaker.
        split_seed: seed of that draw, separate from the training seed.
        level: level that a predefined split must support; a drawn one has the level of its design.
        batch_seconds: audio in one optimizer step (seconds), over all processes.
        num_workers: processes that read audio; 0 reads in the training process, fastest for small models.
        on_bad_audio: `error` refuses a corpus with an unusable recording; `skip` omits such recordings and lists them
            in the report.
        max_seconds: longest recording (seconds); long ones slow down every batch that they are in.
        on_long_audio: `error` treats longer recordings as unusable; `crop` keeps their start, without transcript.
        cache_dir: folder of decoded audio; by default LIGHTNING_MIA_CACHE, or .cache/lightning_mia in the home folder.
        matching: match members and non-members of a predefined split by duration, recordings per speaker, or cropping.
        peak_normalise: scale every recording to a peak of 1, as `sox norm` does, for training and queries.
        reverse: recordings to play backwards: those trained on, or those queried.
        time_masking: silence random parts of training recordings, redrawn in every epoch.
        spec_augment: mask parts of the training recordings' log-mel frames, redrawn in every step (TERA, MelHuBERT).
        split: folder that `lightning-mia split` drew for a model trained elsewhere; its recordings and members replace
            corpus and design.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> from lightning_mia.corpora import SyntheticVoices
        >>> data = SpeechDataModule(SyntheticVoices(n_speakers=4), UtteranceDesign(n_units=16), batch_seconds=8)
        >>> data.design.n_units, data.query_changes.reverse
        (16, False)
    """

    def __init__(
        self,
        corpus: Corpus,
        design: Design | None = None,
        split_seed: Seed = 0,
        level: Literal["utterance", "speaker"] = "utterance",
        batch_seconds: Seconds = 32.0,
        num_workers: Processes = 0,
        on_bad_audio: Literal["error", "skip"] = "error",
        cache_dir: str | None = None,
        matching: Matching | None = None,
        peak_normalise: bool = False,
        reverse: Literal["nothing", "training", "queries", "both"] = "nothing",
        time_masking: TimeMasking = NO_TIME_MASKING,
        spec_augment: SpecAugment = NO_SPEC_AUGMENT,
        max_seconds: Annotated[float, Range(MIN_SECONDS, 1_000_000)] = MAX_SECONDS,
        on_long_audio: OnLongAudio = "error",
        split: str | None = None,
    ) -> None:
        super().__init__()
        self.split_folder = os.path.expanduser(split) if split else None
        self.max_seconds, self.on_long_audio = max_seconds, on_long_audio
        self.corpus, self.design, self.split_seed, self.level = corpus, design, split_seed, level
        self.batch_seconds, self.num_workers = batch_seconds, num_workers
        check_ranges(SpeechDataModule.__init__, vars(self), "data.")
        self.on_bad_audio, self.cache_dir = on_bad_audio, os.path.expanduser(cache_dir) if cache_dir else None
        self.matching, self.time_masking, self.spec_augment = matching, time_masking, spec_augment
        self.training_changes = WaveformChanges(peak_normalise, reverse in ("training", "both"))
        self.query_changes = WaveformChanges(peak_normalise, reverse in ("queries", "both"))

    def load(
        self,
        split_path: Path,
        n_shadows: int | None = 0,
        pool: Pool = "challenge",
        with_background: bool = True,
    ) -> "SplitCorpus":
        """Decode the corpus and draw its split.

        Args:
            split_path: `split.csv` of the run; a split saved there must be the same.
            n_shadows: number of shadow models, in complementary pairs; None: all that a split drawn before has.
            pool: recordings that the shadow models' members are drawn from.
            with_background: also decode the background of a split drawn before, which only training needs; without it,
                shadow models in the pool `auxiliary` are trained on auxiliary recordings alone.

        Raises:
            InputError: the corpus cannot be used, the run has another split, shadow models are requested although
                the split is predefined or has too few auxiliary recordings, or a split drawn before or its audio
                changed.
        """
        if self.split_folder is not None:
            drawn = DrawnFolder.load(self.split_folder)
            split = self._split_of_drawn(drawn, n_shadows, pool, like_target=with_background)
            return self._load_drawn(drawn, split, split_path, with_background)
        table, audio, notes = self._decode()
        split = self._split(table, audio, n_shadows or 0, pool)
        if split_path.exists():
            split.save_once(split_path)
        speakers = dict(zip(table["id"].astype(str), table["speaker"].astype(str), strict=True))
        facts = speaker_facts(table)
        return SplitCorpus(audio, split, table, speakers, facts, notes, self, like_target=split.drawn)

    def _split_of_drawn(self, drawn: DrawnFolder, n_shadows: int | None, pool: Pool, like_target: bool) -> Split:
        """Return a split drawn before, with its shadow models."""
        n_lists = len(drawn.split.shadows)
        n_shadows = n_lists if n_shadows is None else n_shadows
        if pool == "auxiliary" and n_shadows:
            return draw_from_pool(drawn.split.with_shadows(0), n_shadows, self.split_seed, like_target)
        if n_shadows > n_lists:
            raise InputError(
                f"{drawn.folder} has the lists of {n_lists} shadow models: draw it again with "
                f"`lightning-mia split … --shadows {n_shadows}`, give --fleet.size {n_lists}, or give --fleet.pool "
                "auxiliary, which trains them on auxiliary recordings"
            )
        return drawn.split.with_shadows(n_shadows)

    def _load_drawn(self, drawn: DrawnFolder, split: Split, split_path: Path, with_background: bool) -> "SplitCorpus":
        """Decode the recordings of a split drawn before, and check them."""
        logger.info("The split is that of %s: data.corpus and data.design are not used", drawn.folder)
        ids = set(split.table["id"].to_list() if with_background else split.queried_ids())
        table = drawn.table[drawn.table["id"].isin(ids)].reset_index(drop=True)
        audio, notes = self.prepare(table)
        drawn.check_audio(audio.contents)
        if split_path.exists():
            split.save_once(split_path)
        speakers = dict(zip(table["id"].astype(str), table["speaker"].astype(str), strict=True))
        in_pool = split.pool() is not None
        like_target = with_background or not in_pool
        return SplitCorpus(audio, split, table, speakers, speaker_facts(table), notes, self, drawn, like_target)

    def _decode(self) -> tuple[pd.DataFrame, AudioCache, tuple[str, ...]]:
        table = self.corpus.table()
        audio, audio_notes = self.prepare(table)
        if len(audio.skipped):
            named = list_first([f"{row.path}: {row.reason}" for row in audio.skipped.itertuples()])
            logger.warning("%d recordings are omitted: %s", len(audio.skipped), named)
        table = table[table["id"].isin(audio.index.index)]
        if self.matching is None or not self.matching.enabled:
            return table, audio, audio_notes
        table, audio, notes, _ = matched_subset(table, audio, self.matching, self.level)
        return table, audio, (*audio_notes, *notes)

    def prepare(self, table: pd.DataFrame) -> tuple[AudioCache, tuple[str, ...]]:
        """Decode the recordings of a table, with this module's options."""
        return prepare_audio(
            table,
            cache_dir=Path(self.cache_dir) if self.cache_dir else None,
            on_bad_audio=self.on_bad_audio,
            max_seconds=self.max_seconds,
            on_long_audio=self.on_long_audio,
        )

    def _split(self, table: pd.DataFrame, audio: AudioCache, n_shadows: int, pool: Pool) -> Split:
        if "member" in table:
            if self.design is not None:
                logger.info("The corpus has a predefined split: data.design is not used")
            if n_shadows and pool == "challenge":
                raise InputError(
                    "Shadow models on halves of the challenge set need randomly drawn members, but the corpus has a "
                    "predefined split (column member): give --fleet.pool auxiliary, which trains them on auxiliary "
                    "recordings, drop the column, or give --fleet.size 0"
                )
            split = predefined(table, audio.contents, self.level)
            return draw_from_pool(split, n_shadows, self.split_seed) if n_shadows else split
        design = self.design or UtteranceDesign()
        if pool == "challenge" or not n_shadows:
            return design.draw(table, audio.contents, n_shadows=n_shadows, seed=self.split_seed)
        return draw_from_pool(design.draw(table, audio.contents, seed=self.split_seed), n_shadows, self.split_seed)


@dataclass(frozen=True, eq=False)
class SplitCorpus:
    """A decoded corpus and its split.

    Attributes:
        audio: decoded recordings.
        split: members and non-members of every model.
        table: utterance table of the usable recordings, after matching.
        speakers: id → speaker, of every usable recording, after matching.
        speaker_facts: gender and accent of the speaker, index = id; see `corpora.base`.
        notes: sentences for the report.
        options: the data module that loaded it.
        drawn: the folder of a split drawn before; None: the split was drawn now, or is predefined.
        like_target: whether the shadow models, if any, are trained like the target; else on auxiliary recordings alone,
            for a target that was trained elsewhere.

    Example:
        Load a corpus, and batch the members:

            data = SpeechDataModule(Manifest("manifest.csv"), batch_seconds=16).load(Path("split.csv"))
            recordings = data.training_recordings(data.split.training_ids(), seed=0)
            Trainer(max_epochs=50).fit(TERA(), datamodule=recordings)
    """

    audio: AudioCache
    split: Split
    table: pd.DataFrame
    speakers: dict[str, str]
    speaker_facts: pd.DataFrame
    notes: tuple[str, ...]
    options: SpeechDataModule
    drawn: DrawnFolder | None = None
    like_target: bool = True

    def with_split(self, split: Split) -> "SplitCorpus":
        """Return the same recordings with another split."""
        return replace(self, split=split, notes=(), like_target=split.drawn)

    def with_shadows(self, shadows: Sequence[str], notes: Sequence[str]) -> "SplitCorpus":
        """Keep these shadow models only, and add notes for the report."""
        return replace(self, split=self.split.with_only(shadows), notes=(*self.notes, *notes))

    def texts_and_durations(self) -> tuple[dict[str, str], dict[str, float]]:
        """Return transcripts and seconds of all decoded recordings of the split."""
        ids = [name for name in self.split.table["id"] if name in self.speakers]
        texts = {name: self.audio.texts.get(name, "") for name in ids}
        return texts, self.audio.index.loc[ids, "duration"].to_dict()

    @property
    def has_background(self) -> bool:
        """Whether all recordings that a model is trained on are decoded."""
        return all(name in self.speakers for name in self.split.background_ids())

    @property
    def query_changes(self) -> WaveformChanges:
        """Changes to the waveforms of queries."""
        return self.options.query_changes

    def data_hash(self, ids: Sequence[str]) -> str:
        """Hash ids and contents of recordings, decoded or not, in any order; see `AudioCache.data_hash`."""
        if self.drawn is None:
            return self.audio.data_hash(ids)
        return hash_of(sorted((name, self.drawn.contents[name]) for name in ids))

    def further_training_recordings(self) -> TrainingRecordings:
        """Batch recordings for copies of a model that are trained further, of any of these recordings."""
        return self._batched(self.split.queried_ids(), n_batches=1, times=(), seed=0)

    def training_recordings(self, ids: list[str], seed: int) -> TrainingRecordings:
        """Batch training recordings, equally many batches for every model.

        The number of batches follows from the mean duration over the challenge set, not from the durations of one
        member set, and from the background, so the target, its controls and all shadow models take equally many
        optimizer steps.

        Args:
            ids: recordings to train on.
            seed: seed of the order of batches.
        """
        split, durations = self.split, self.audio.index["duration"]
        if self.like_target and not self.has_background:
            raise InputError(
                f"The {len(split.background_ids())} background recordings of {self.options.split_folder} are not "
                "decoded for the audit of a model trained elsewhere, so no model can be trained on them: train with "
                "data.corpus and data.design instead of data.split"
            )
        trainable, n_trained = self._trainable(ids)
        seconds = durations.loc[trainable].to_numpy() * split.times_per_epoch(trainable)
        background = durations.loc[split.background_ids() if self.like_target else []].to_numpy()
        n_batches = count_batches(
            [float(np.mean(seconds)) * n_trained, float(background.sum())], self.options.batch_seconds
        )
        return self._batched(ids, n_batches, split.times_per_epoch(ids), seed)

    def _batched(
        self, ids: list[str], n_batches: int, times: Sequence[int] | np.ndarray, seed: int
    ) -> TrainingRecordings:
        return TrainingRecordings(
            self.audio,
            ids,
            times=times,
            n_batches=n_batches,
            batch_seconds=self.options.batch_seconds,
            num_workers=self.options.num_workers,
            seed=seed,
            changes=self.options.training_changes,
            masking=self.options.time_masking,
            spec_augment=self.options.spec_augment,
        )

    def _trainable(self, ids: list[str]) -> tuple[list[str], int]:
        """Return the recordings that training sets are drawn from, and the size of one.

        Shadow models unlike the target have another size.
        """
        split = self.split
        pool = None if self.like_target else split.pool()
        if pool is not None and set(ids) <= set(pool["id"]):
            return list(pool["id"]), len(ids)
        return list(split.table["id"][split.table["part"] == "trained"]), split.n_members_trained

    def queries(self, ids: list[str]) -> Recordings:
        """Return recordings to query a model with."""
        return Recordings(self.audio, ids, self.query_changes)
