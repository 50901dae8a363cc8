"""VCTK 0.92 (Yamagishi, Veaux and MacDonald, 2019)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import Archive, absolute, check_names, layout_errors, published_folder
from lightning_mia.corpora.formats.tables import add_speaker_column, normalise_gender

ARCHIVE = Archive(
    "https://datashare.is.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
    "f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",
    unpacked_in="VCTK-Corpus-0.92",
)
MICROPHONES = ("mic1", "mic2")


class VCTK(Corpus):
    """VCTK 0.92: 110 English speakers with various accents.

    Read sentences, CC BY 4.0. Gender and accent come from `speaker-info.txt`. Two microphones recorded every sentence;
    a corpus contains one of them. As in torchaudio, speaker p315 (no transcripts), the second microphone of p280 and
    some sentences of p362 (no recordings) are left out. Available at datashare.ed.ac.uk/handle/10283/3443, or by
    `download`.

    Example:
        >>> VCTK("corpora", microphone="mic1").microphone
        'mic1'
    """

    def __init__(self, root: str, microphone: Literal["mic1", "mic2"] = "mic2", download: bool = False) -> None:
        """Specify the folder and the microphone.

        Args:
            root: folder that contains `VCTK-Corpus-0.92`.
            microphone: mic1 (omnidirectional, with some low-frequency noise) or mic2 (condenser).
            download: download the archive (11 GB) into `root` if it is missing.
        """
        self.root = root
        self.microphone = microphone
        self.download = download

    def table(self) -> pd.DataFrame:
        """List the recordings with transcripts and speakers, without decoding them."""
        check_names("VCTK microphone", [self.microphone], MICROPHONES)
        folder = published_folder(absolute(self.root), "VCTK-Corpus-0.92", ARCHIVE, download=self.download)
        with layout_errors(folder):
            table = pd.DataFrame(self._rows(folder), columns=["id", "path", "speaker", "text"])
            speakers = _speaker_info(folder / "speaker-info.txt")
        add_speaker_column(table, "gender", {speaker: gender for speaker, (gender, _) in speakers.items()})
        add_speaker_column(table, "accent", {speaker: accent for speaker, (_, accent) in speakers.items()})
        return check_table(table, f"VCTK in {self.root}")

    def _rows(self, folder: Path) -> Iterator[tuple[str, str, str, str]]:
        """Yield the recordings with transcripts."""
        for speaker in sorted((folder / "txt").iterdir()):
            if speaker.name == "p280" and self.microphone == "mic2":
                continue
            recordings = folder / "wav48_silence_trimmed" / speaker.name
            for transcript in sorted(speaker.glob("*.txt")):
                path = recordings / f"{transcript.stem}_{self.microphone}.flac"
                if speaker.name != "p362" or path.is_file():
                    yield transcript.stem, str(path), speaker.name, transcript.read_text(encoding="utf-8").strip()


def _speaker_info(path: Path) -> dict[str, tuple[str, str]]:
    """Read gender and accent of every speaker.

    Below a header, its lines are `p225  23  F    English    Southern  England`: id, age, gender, accent (the first
    of the words that follow) and region.
    """
    if not path.is_file():
        return {}
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return {fields[0]: (normalise_gender(fields[2]), fields[3]) for fields in lines if len(fields) > 3}
