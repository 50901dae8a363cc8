"""The built-in corpus: made-up people saying made-up sentences, each recorded in a room of its own."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.segments import write_flac
from lightning_mia.corpora.synthetic.acoustics import SAMPLE_RATE, draw_acoustics, record
from lightning_mia.corpora.synthetic.espeak import ESPEAK_RATE, say, version
from lightning_mia.corpora.synthetic.sentences import draw_sentence
from lightning_mia.corpora.synthetic.speakers import N_SPEAKERS, voice_of
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import cache_root, hash_of, hash_of_file, write_json

_INDEX = "index.json"
_SOURCES = ("acoustics.py", "espeak.py", "sentences.py", "speakers.py", "voices.py", "../formats/segments.py")


@dataclass(frozen=True)
class _Spoken:
    """What the index of a speaker remembers of an utterance."""

    text: str
    n_samples: int


class SyntheticVoices(Corpus):
    """Synthetic voices, the built-in corpus: nothing to download, and the same seed gives the same bytes.

    Room, noise and level are drawn for every recording without regard to who speaks: nothing but chance tells
    one half of the recordings from the other. Recordings are kept; a larger corpus adds to what is there.
    """

    def __init__(
        self,
        n_speakers: int = 20,
        utterances_per_speaker: int = 40,
        seed: int = 0,
        cache_dir: str | None = None,
    ) -> None:
        """Describe the corpus; `table` makes it.

        Args:
            n_speakers: number of people, up to 128; person k is the same one in every corpus.
            utterances_per_speaker: recordings of each person, 1 to 4 seconds long, 2.3 on average.
            seed: draws sentences, rooms, noises and levels, for each recording apart from all others.
            cache_dir: folder to keep the recordings in; default: `voices` in the cache of lightning_mia.

        Raises:
            InputError: a number is out of range.
        """
        for name, value, least in (
            ("n_speakers", n_speakers, 1),
            ("utterances_per_speaker", utterances_per_speaker, 1),
            ("seed", seed, 0),
        ):
            if value < least:
                raise InputError(f"Synthetic voices: {name} is {value}; give {least} or more")
        if n_speakers > N_SPEAKERS:
            raise InputError(f"Synthetic voices: n_speakers is {n_speakers}; there are {N_SPEAKERS}, give that or less")
        self.n_speakers = n_speakers
        self.utterances_per_speaker = utterances_per_speaker
        self.seed = seed
        self.cache_dir = cache_dir

    def table(self) -> pd.DataFrame:
        """Synthesise what is missing; return `id`, `path`, `speaker`, `text` and `duration` (seconds).

        Raises:
            InputError: the cache cannot be written to, or espeak-ng's library cannot be loaded.
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
            _row(folder, speaker, utterance, spoken)
            for speaker, index in enumerate(indexes)
            for utterance, spoken in enumerate(index[: self.utterances_per_speaker])
        ]
        return check_table(pd.DataFrame(rows), "Synthetic voices")

    def _folder(self) -> Path:
        """The folder of this seed's recordings, as made by this version of the code and of espeak-ng."""
        root = Path(self.cache_dir).expanduser() if self.cache_dir else cache_root() / "voices"
        recipe = [hash_of_file(Path(__file__).parent / name) for name in _SOURCES]
        key = hash_of({"seed": self.seed, "espeak": version(), "recipe": recipe})
        return root.absolute() / f"seed{self.seed}-{key[:12]}"

    def _missing(self, folder: Path, index: list[_Spoken]) -> list[int]:
        """Numbers of one speaker's utterances that are not in its index or not in its folder."""
        present = set(os.listdir(folder)) if index else set()  # one look at the folder, not one at every file
        wanted = range(self.utterances_per_speaker)
        return [j for j in wanted if j >= len(index) or _file_name(j) not in present]

    def _synthesise(
        self, folder: Path, speaker: int, utterances: list[int], index: list[_Spoken], progress: "tqdm[None]"
    ) -> None:
        """Record one speaker's missing `utterances` (ascending), then enter them in the speaker's `index`."""
        speaker_folder = folder / _speaker_name(speaker)
        for utterance in utterances:
            text, samples = _utter(self.seed, speaker, utterance)
            write_flac(speaker_folder / _file_name(utterance), samples, SAMPLE_RATE)
            spoken = _Spoken(text, len(samples))
            index[utterance : utterance + 1] = [spoken]  # replaces, or appends at the end
            progress.update()
        # Written last: recordings that no index names, left by an interrupted run, are made again.
        write_json(speaker_folder / _INDEX, [[entry.text, entry.n_samples] for entry in index])


def _utter(seed: int, speaker: int, utterance: int) -> tuple[str, np.ndarray]:
    """Make one recording: its text and its samples, int16, shape (n_samples,), at 16 kHz."""
    rng = np.random.default_rng([seed, speaker, utterance])
    text = draw_sentence(rng)
    speech = say(text, voice_of(speaker))
    return text, record(speech, ESPEAK_RATE, draw_acoustics(rng), rng)


def _read_index(speaker_folder: Path) -> list[_Spoken]:
    """The utterances of a speaker that are whole, in order; none where there is no index that can be read."""
    try:
        entries = json.loads((speaker_folder / _INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [_Spoken(text, n_samples) for text, n_samples in entries]


def _row(folder: Path, speaker: int, utterance: int, spoken: _Spoken) -> dict[str, str | float]:
    name = _speaker_name(speaker)
    return {
        "id": f"{name}_{utterance:04d}",
        "path": str(folder / name / _file_name(utterance)),
        "speaker": name,
        "text": spoken.text,
        "duration": spoken.n_samples / SAMPLE_RATE,
    }


def _speaker_name(speaker: int) -> str:
    return f"voice_{speaker:03d}"


def _file_name(utterance: int) -> str:
    return f"{utterance:04d}.flac"
