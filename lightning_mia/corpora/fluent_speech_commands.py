"""Fluent Speech Commands (Lugosch et al., Interspeech 2019): orders given to a smart home."""

from collections.abc import Sequence

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import absolute, as_published, check_names
from lightning_mia.corpora.formats.speaker_metadata import add_facts, gender_of
from lightning_mia.corpora.formats.tables import facts_by
from lightning_mia.utilities.errors import InputError

SPLITS = ("train", "valid", "test")
PUBLISHER = "https://fluent.ai/fluent-speech-commands-a-dataset-for-spoken-language-understanding-research"


class FluentSpeechCommands(Corpus):
    """Splits of Fluent Speech Commands: speaker, transcript and gender.

    No speaker is in two splits. The publisher wants an agreement before every download: there is none here.
    """

    def __init__(self, root: str, splits: Sequence[str] = SPLITS) -> None:
        """Name the folder and the splits.

        Args:
            root: the folder that holds `fluent_speech_commands_dataset`; the gender is taken from
                `data/speaker_demographics.csv` in it.
            splits: any of train, valid and test.
        """
        self.root = root
        self.splits = splits

    def table(self) -> pd.DataFrame:
        """Read the publisher's lists; whether the recordings exist is found out when they are decoded."""
        from torchaudio import datasets

        check_names("Fluent Speech Commands split", self.splits, SPLITS)
        root = absolute(self.root)
        folder = root / "fluent_speech_commands_dataset"
        if not folder.is_dir():
            how = f"get it from {PUBLISHER}, and set root to the folder that holds fluent_speech_commands_dataset"
            raise InputError(f"{folder}: no such folder; {how}")
        rows = []
        with as_published(folder):
            for split in dict.fromkeys(self.splits):
                data = datasets.FluentSpeechCommands(root, split)
                for n in range(len(data)):
                    path, _, name, speaker, text, *_ = data.get_metadata(n)
                    rows.append((name, str(folder / path), speaker, text))
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "text"])
        genders = facts_by(folder / "data" / "speaker_demographics.csv", "speakerId", "gender")
        add_facts(table, "gender", {speaker: gender_of(gender) for speaker, gender in genders.items()})
        return check_table(table, f"Fluent Speech Commands in {self.root}")
