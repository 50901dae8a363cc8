"""Fluent Speech Commands (Lugosch et al., Interspeech 2019)."""

from collections.abc import Sequence

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import absolute, check_names, layout_errors
from lightning_mia.corpora.formats.tables import add_speaker_column, normalise_gender, read_column
from lightning_mia.utilities.errors import InputError

SPLITS = ("train", "valid", "test")
PUBLISHER = "https://fluent.ai/fluent-speech-commands-a-dataset-for-spoken-language-understanding-research"


class FluentSpeechCommands(Corpus):
    """Fluent Speech Commands: smart-home commands, for academic use only.

    Gender comes from `data/speaker_demographics.csv`. No speaker is in two splits. Available at fluent.ai after
    accepting the licence; there is no automatic download.

    Example:
        >>> FluentSpeechCommands("corpora", splits=["valid", "test"]).splits
        ['valid', 'test']
    """

    def __init__(self, root: str, splits: Sequence[str] = SPLITS) -> None:
        """Specify the folder and the splits.

        Args:
            root: folder that contains `fluent_speech_commands_dataset`.
            splits: any of train, valid and test.
        """
        self.root = root
        self.splits = splits

    def table(self) -> pd.DataFrame:
        """List the published recordings, without opening them."""
        from torchaudio import datasets

        check_names("Fluent Speech Commands split", self.splits, SPLITS)
        root = absolute(self.root)
        folder = root / "fluent_speech_commands_dataset"
        if not folder.is_dir():
            remedy = f"get it from {PUBLISHER}, and set root to the folder that holds fluent_speech_commands_dataset"
            raise InputError(f"{folder}: no such folder; {remedy}")
        rows = []
        with layout_errors(folder):
            for split in dict.fromkeys(self.splits):
                data = datasets.FluentSpeechCommands(root, split)
                for n in range(len(data)):
                    path, _, name, speaker, text, *_ = data.get_metadata(n)
                    rows.append((name, str(folder / path), speaker, text))
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "text"])
        genders = read_column(folder / "data" / "speaker_demographics.csv", "speakerId", "gender")
        add_speaker_column(table, "gender", {speaker: normalise_gender(gender) for speaker, gender in genders.items()})
        return check_table(table, f"Fluent Speech Commands in {self.root}")
