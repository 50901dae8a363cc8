"""The built-in corpus: synthetic speakers and sentences in simulated rooms."""

import json
import os
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.segments import write_flac
from lightning_mia.corpora.synthetic.acoustics import draw_acoustics, record
from lightning_mia.corpora.synthetic.espeak import ESPEAK_RATE, synthesise, version
from lightning_mia.corpora.synthetic.sentences import draw_sentence
from lightning_mia.corpora.synthetic.speakers import N_SPEAKERS, speaker_voice
from lightning_mia.utilities.files import cache_root, hash_of, write_json
from lightning_mia.utilities.progress_bar import tqdm
from lightning_mia.utilities.ranges import Range, Seed, check_ranges

RECIPE = 1
"""Increase this whenever the audio or the text of an utterance changes, so that cached ones are not reused."""

_INDEX = "index.json"


class SyntheticVoices(Corpus):
    """Synthetic voices, the built-in corpus; reproducible byte by byte.

    Room, noise and level are drawn for every recording independently of the speaker, so that nothing but chance
    distinguishes members from non-members. Recordings are cached, and a larger corpus reuses them.

    Example:
        >>> table = SyntheticVoices(n_speakers=2, utterances_per_speaker=1).table()
        >>> table["id"].tolist()
        ['voice_000_0000', 'voice_001_0000']
        >>> table["text"][0]
        'My neighbour brought that apple.'
    """

    def __init__(
        self,
        n_speakers: Annotated[int, Range(1, N_SPEAKERS)] = 20,
        utterances_per_speaker: Annotated[int, Range(1, 100_000)] = 40,
        seed: Seed = 0,
        cache_dir: str | None = None,
    ) -> None:
        """Describe the corpus, which `table` synthesises.

        Args:
            n_speakers: number of speakers, up to 128; speaker k has the same voice in every corpus.
            utterances_per_speaker: recordings of each speaker, 1 to 4 seconds long (mean 2.3).
            seed: seed of sentences, rooms, noises and levels.
            cache_dir: folder of the recordings; default: `voices` in the cache of lightning_mia.

        Raises:
            InputError: a number is out of range.
        """
        self.n_speakers = n_speakers
        self.utterances_per_speaker = utterances_per_speaker
        self.seed = seed
        self.cache_dir = cache_dir
        check_ranges(SyntheticVoices.__init__, vars(self), "corpus.")

    def table(self) -> pd.DataFrame:
        """Synthesise the missing utterances.

        Returns:
            Columns `id`, `path`, `speaker`, `text` and `duration` (seconds).

        Raises:
            InputError: the cache cannot be written, or espeak-ng's library cannot be loaded.
        """
        folder = self._folder()
        indexes = [_read_index(folder / _speaker_name(k)) for k in range(self.n_speakers)]
        missing = [self._missing(folder / _speaker_name(k), index) for k, index in enumerate(indexes)]
        n_missing = sum(map(len, missing))
        with tqdm(total=n_missing, desc="Synthesising voices", unit="utterance", disable=n_missing == 0) as progress:
            for speaker, utterances in enumerate(missing):
                if utterances:
                    self._synthesise(folder, speaker, utterances, indexes[speaker], progress)
        rows = [
            _row(folder, speaker, number, utterance)
            for speaker, index in enumerate(indexes)
            for number, utterance in enumerate(index[: self.utterances_per_speaker])
        ]
        return check_table(pd.DataFrame(rows), "Synthetic voices")

    def _folder(self) -> Path:
        """Return the folder of this seed's recordings.

        It depends on the recipe and on the version of espeak-ng.
        """
        root = Path(self.cache_dir).expanduser() if self.cache_dir else cache_root() / "voices"
        key = hash_of({"seed": self.seed, "espeak": version(), "recipe": RECIPE})
        return root.absolute() / f"seed{self.seed}-{key[:12]}"

    def _missing(self, folder: Path, index: "list[_Utterance]") -> list[int]:
        """Return the numbers of a speaker's missing utterances."""
        present = set(os.listdir(folder)) if index else set()  # one listing instead of many stat calls
        numbers = range(self.utterances_per_speaker)
        return [number for number in numbers if number >= len(index) or _file_name(number) not in present]

    def _synthesise(
        self, folder: Path, speaker: int, numbers: list[int], index: "list[_Utterance]", progress: tqdm
    ) -> None:
        """Synthesise a speaker's missing utterances and update the index."""
        speaker_folder = folder / _speaker_name(speaker)
        for number in numbers:
            text, samples = _synthesise_utterance(self.seed, speaker, number)
            write_flac(speaker_folder / _file_name(number), samples, SAMPLE_RATE)
            index[number : number + 1] = [_Utterance(text, len(samples))]  # replaces, or appends at the end
            progress.update()
        # Written last: recordings of an interrupted run are in no index, and are synthesised again.
        write_json(speaker_folder / _INDEX, [list(utterance) for utterance in index])


class _Utterance(NamedTuple):
    """Entry of a speaker's index."""

    text: str
    n_samples: int


def _synthesise_utterance(seed: int, speaker: int, number: int) -> tuple[str, np.ndarray]:
    """Return text and samples, (n_samples,) int16, 16 kHz."""
    rng = np.random.default_rng([seed, speaker, number])
    text = draw_sentence(rng)
    speech = synthesise(text, speaker_voice(speaker))
    return text, record(speech, ESPEAK_RATE, draw_acoustics(rng), rng)


def _read_index(speaker_folder: Path) -> list[_Utterance]:
    """Read the index of a speaker; empty if unreadable."""
    try:
        entries = json.loads((speaker_folder / _INDEX).read_text(encoding="utf-8"))
        return [_Utterance(str(text), int(n_samples)) for text, n_samples in entries]
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def _row(folder: Path, speaker: int, number: int, utterance: _Utterance) -> dict[str, str | float]:
    name = _speaker_name(speaker)
    return {
        "id": f"{name}_{number:04d}",
        "path": str(folder / name / _file_name(number)),
        "speaker": name,
        "text": utterance.text,
        "duration": utterance.n_samples / SAMPLE_RATE,
    }


def _speaker_name(speaker: int) -> str:
    return f"voice_{speaker:03d}"


def _file_name(number: int) -> str:
    return f"{number:04d}.flac"
