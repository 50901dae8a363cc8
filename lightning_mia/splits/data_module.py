"""From a corpus and a design to decoded audio and a split."""

import copy
import logging
from pathlib import Path
from typing import Literal

import lightning as L
import pandas as pd

from lightning_mia.corpora import Corpus
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.base import speaker_facts
from lightning_mia.corpora.loading.augmentation import SpecAugment, TimeMasking, WaveformChanges
from lightning_mia.corpora.loading.batch_sampler import batches_for
from lightning_mia.corpora.loading.datasets import Recordings, TrainingRecordings
from lightning_mia.splits import Design, Split, UtteranceDesign, predefined
from lightning_mia.splits.auxiliary_pool import Pool, draw_from_pool
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.splits.matching.subset import matched_subset
from lightning_mia.utilities.errors import InputError, list_first

log = logging.getLogger(__name__)


class SpeechDataModule(L.LightningDataModule):
    """Recordings, and who among them is a member.

    Args:
        corpus: where the recordings come from. A manifest with a `member` column is a ready-made split.
        design: how members are drawn, where the corpus does not say; the unit is an utterance or a speaker.
        split_seed: seed of that draw, apart from the training seed.
        level: level that a ready-made split is reported at; a drawn one has the level of its design.
        batch_seconds: audio in one optimizer step (seconds), over all processes.
        num_workers: processes that read audio; 0 reads in the training process, fastest for small models.
        on_bad_audio: `error` refuses a corpus with a recording that cannot be used; `skip` leaves such
            recordings out and lists them in the report.
        cache_dir: where decoded audio is kept; by default LIGHTNING_MIA_CACHE, or .cache/lightning_mia in the
            home folder.
        matching: how members and non-members of a ready-made split are made alike, by duration, by recordings a
            speaker, or by cropping.
        peak_normalise: scale every recording to a peak of 1, as `sox norm` does, in training and in queries.
        reverse: play recordings backwards: those that are trained on, or those that the model is asked about.
        time_masking: silence parts of the recordings that are trained on, others in every epoch.
        spec_augment: hide parts of their log-mel frames, others in every step (TERA and MelHuBERT).
    """

    def __init__(
        self,
        corpus: Corpus,
        design: Design | None = None,
        split_seed: int = 0,
        level: Literal["utterance", "speaker"] = "utterance",
        batch_seconds: float = 32.0,
        num_workers: int = 0,
        on_bad_audio: Literal["error", "skip"] = "error",
        cache_dir: str | None = None,
        matching: Matching | None = None,
        peak_normalise: bool = False,
        reverse: Literal["nothing", "training", "queries", "both"] = "nothing",
        time_masking: TimeMasking = TimeMasking(),
        spec_augment: SpecAugment = SpecAugment(),
    ) -> None:
        super().__init__()
        if batch_seconds <= 0:
            raise InputError(f"data.batch_seconds is {batch_seconds}: give a positive number of seconds")
        self.corpus, self.design, self.split_seed, self.level = corpus, design, split_seed, level
        self.batch_seconds, self.num_workers = batch_seconds, num_workers
        self.on_bad_audio, self.cache_dir = on_bad_audio, cache_dir
        self.matching, self.time_masking, self.spec_augment = matching, time_masking, spec_augment
        self.training_changes = WaveformChanges(peak_normalise, reverse in ("training", "both"))
        self.query_changes = WaveformChanges(peak_normalise, reverse in ("queries", "both"))
        self._audio: AudioCache | None = None
        self._split: Split | None = None
        self._speaker_facts: pd.DataFrame | None = None
        self.speakers: dict[str, str] = {}  # of every recording of the corpus, by id; `load` comes first
        self.notes: list[str] = []  # for the report, a sentence each

    def load(self, split_path: Path, n_shadows: int = 0, pool: Pool = "challenge") -> None:
        """Read and decode the corpus, and draw the split; where one is saved already, it has to be the same.

        Args:
            split_path: `split.csv` of the run.
            n_shadows: columns for shadow models.
            pool: what they are drawn from.

        Raises:
            InputError: the corpus cannot be used, or the run was begun with another split; a fleet is asked for, but
                the corpus brings its own members, or too few recordings are auxiliary.
        """
        table = self.corpus.table()
        cache_dir = Path(self.cache_dir) if self.cache_dir else None
        self._audio = decode(table, cache_dir=cache_dir, on_bad_audio=self.on_bad_audio)
        if len(self._audio.skipped):
            named = list_first([f"{row.path}: {row.reason}" for row in self._audio.skipped.itertuples()])
            log.warning("%d recordings are left out: %s", len(self._audio.skipped), named)
        table = table[table["id"].isin(self._audio.index.index)]
        if self.matching is not None and self.matching.enabled:
            table, self._audio, notes, _ = matched_subset(table, self._audio, self.matching, self.level)
            self.notes.extend(notes)
        self._speaker_facts = speaker_facts(table)
        self.speakers = dict(zip(table["id"].astype(str), table["speaker"].astype(str), strict=True))
        contents = self._audio.contents
        if "member" in table:
            if self.design is not None:
                log.info("The corpus brings its own members: data.design is not used")
            if n_shadows:
                raise InputError(
                    "Shadow models need members that are drawn at random, but the corpus brings its own (column "
                    "member); drop the column, or give --fleet.size 0"
                )
            self._split = predefined(table, contents, self.level)
        else:
            design = self.design or UtteranceDesign()
            of_challenge = n_shadows if pool == "challenge" else 0
            self._split = design.draw(table, contents, n_shadows=of_challenge, seed=self.split_seed)
            if pool == "auxiliary" and n_shadows:
                self._split = draw_from_pool(self._split, n_shadows, self.split_seed)
        if split_path.exists():
            self._split.save_once(split_path)

    def with_split(self, split: Split) -> "SpeechDataModule":
        """The same recordings, with other members."""
        other = copy.copy(self)
        other._split, other.notes = split, []
        return other

    @property
    def audio(self) -> AudioCache:
        """The decoded corpus; `load` comes first."""
        assert self._audio is not None, "call load() first"
        return self._audio

    @property
    def split(self) -> Split:
        """Who is IN and who is OUT; `load` comes first."""
        assert self._split is not None, "call load() first"
        return self._split

    @property
    def speaker_facts(self) -> pd.DataFrame:
        """Gender and accent of every recording's speaker; see `corpus.speaker_facts`; `load` comes first."""
        assert self._speaker_facts is not None, "call load() first"
        return self._speaker_facts

    def training_recordings(self, ids: list[str], seed: int) -> TrainingRecordings:
        """What a model trains on, in as many batches an epoch as the target.

        The number of batches follows from the whole challenge set, not from the durations of one member set, so
        that the target, its controls and all shadows take equally many optimizer steps.
        """
        trainable = self.split.table.query("part == 'trained'")["id"]
        durations: pd.Series = self.audio.index.loc[trainable, "duration"]
        n_trained = len(self.split.training_ids())
        n_batches = batches_for([float(durations.mean()) * n_trained], self.batch_seconds)
        return TrainingRecordings(
            self.audio,
            ids,
            n_batches=n_batches,
            batch_seconds=self.batch_seconds,
            num_workers=self.num_workers,
            seed=seed,
            changes=self.training_changes,
            masking=self.time_masking,
            spec_augment=self.spec_augment,
        )

    def queries(self, ids: list[str]) -> Recordings:
        """The recordings that a model is asked about."""
        return Recordings(self.audio, ids, self.query_changes)
