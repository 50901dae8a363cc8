"""VCTK 0.92 (Yamagishi, Veaux and MacDonald, 2019): 110 speakers of English with various accents."""

from pathlib import Path
from typing import Literal

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import (
    Archive,
    absolute,
    as_published,
    check_names,
    open_published,
    published_at,
)
from lightning_mia.corpora.formats.speaker_metadata import add_facts, gender_of

ARCHIVE = "VCTK-Corpus-0.92.zip"
MICROPHONES = ("mic1", "mic2")


class VCTK(Corpus):
    """Read sentences: speaker, text, gender and accent.

    Every sentence was recorded by two microphones at once; a corpus is what one of them heard, so that no
    sentence stands in it twice. As with torchaudio, speaker p315 (whose texts are lost), the second microphone of
    p280 and some sentences of p362 (whose recordings are lost) are left out.
    """

    def __init__(self, root: str, microphone: Literal["mic1", "mic2"] = "mic2", download: bool = False) -> None:
        """Name the folder and the microphone.

        Args:
            root: the folder that holds (or, with `download`, gets) `VCTK-Corpus-0.92`.
            microphone: mic1 (omnidirectional, with some low-frequency noise) or mic2 (condenser).
            download: fetch the archive (11 GB) where it is not there.
        """
        self.root = root
        self.microphone = microphone
        self.download = download

    def table(self) -> pd.DataFrame:
        """Read the layout, the texts and the list of speakers; nothing is decoded."""
        from torchaudio.datasets import VCTK_092, vctk

        check_names("VCTK microphone", [self.microphone], MICROPHONES)
        root = absolute(self.root)
        folder = root / "VCTK-Corpus-0.92"
        _, sha256 = published_at(vctk._CHECKSUMS, ARCHIVE)
        data = open_published(
            lambda: VCTK_092(str(root), self.microphone, download=self.download),
            Archive(root / ARCHIVE, folder, sha256),
            download=self.download,
            holds="VCTK-Corpus-0.92",
        )
        rows = []
        with as_published(folder):
            for speaker, number in data._sample_ids:  # torchaudio lists without decoding, but not in public
                name = f"{speaker}_{number}"
                recording = folder / "wav48_silence_trimmed" / speaker / f"{name}_{self.microphone}.flac"
                text = (folder / "txt" / speaker / f"{name}.txt").read_text(encoding="utf-8").strip()
                rows.append((name, str(recording), speaker, text))
            facts = _speaker_facts(folder / "speaker-info.txt")
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "text"])
        add_facts(table, "gender", {speaker: gender for speaker, (gender, _) in facts.items()})
        add_facts(table, "accent", {speaker: accent for speaker, (_, accent) in facts.items()})
        return check_table(table, f"VCTK in {self.root}")


def _speaker_facts(path: Path) -> dict[str, tuple[str, str]]:
    """Read gender and accent by speaker; {} where there is no list.

    Below a header, its lines are `p225  23  F    English    Southern  England`: id, age, gender, accent (the first
    of the words that follow) and region.
    """
    if not path.is_file():
        return {}
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return {fields[0]: (gender_of(fields[2]), fields[3]) for fields in lines if len(fields) > 3}
