"""CMU Arctic (Kominek and Black, 2003)."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import Archive, absolute, check_names, layout_errors, published_folder
from lightning_mia.corpora.formats.tables import add_speaker_column

GENDERS = {
    **dict.fromkeys(("aew", "awb", "bdl", "jmk", "ksp", "rms"), "male"),
    **dict.fromkeys(("clb", "eey", "ljm", "lnh", "slt"), "female"),
}
ACCENTS = {
    **dict.fromkeys(("aew", "bdl", "clb", "eey", "ljm", "lnh", "rms", "slt"), "US"),
    "awb": "Scottish",
    "jmk": "Canadian",
    "ksp": "Indian",
}
"""As described at festvox.org/cmu_arctic; descriptions that could not be confirmed are omitted."""

SHA256 = {
    "aew": "645cb33c0f0b2ce41384fdd8d3db2c3f5fc15c1e688baeb74d2e08cab18ab406",
    "ahw": "024664adeb892809d646a3efd043625b46b5bfa3e6189b3500b2d0d59dfab06c",
    "aup": "2c55bc3050caa996758869126ad10cf42e1441212111db034b3a45189c18b6fc",
    "awb": "d74a950c9739a65f7bfc4dfa6187f2730fa03de5b8eb3f2da97a51b74df64d3c",
    "axb": "dd65c3d2907d1ee52f86e44f578319159e60f4bf722a9142be01161d84e330ff",
    "bdl": "26b91aaf48b2799b2956792b4632c2f926cd0542f402b5452d5adecb60942904",
    "clb": "3f16dc3f3b97955ea22623efb33b444341013fc660677b2e170efdcc959fa7c6",
    "eey": "8a0ee4e5acbd4b2f61a4fb947c1730ab3adcc9dc50b195981d99391d29928e8a",
    "fem": "3fcff629412b57233589cdb058f730594a62c4f3a75c20de14afe06621ef45e2",
    "gka": "dc82e7967cbd5eddbed33074b0699128dbd4482b41711916d58103707e38c67f",
    "jmk": "3a37c0e1dfc91e734fdbc88b562d9e2ebca621772402cdc693bbc9b09b211d73",
    "ksp": "8029cafce8296f9bed3022c44ef1e7953332b6bf6943c14b929f468122532717",
    "ljm": "b23993765cbf2b9e7bbc3c85b6c56eaf292ac81ee4bb887b638a24d104f921a0",
    "lnh": "4faf34d71aa7112813252fb20c5433e2fdd9a9de55a00701ffcbf05f24a5991a",
    "rms": "c6dc11235629c58441c071a7ba8a2d067903dfefbaabc4056d87da35b72ecda4",
    "rxr": "1fa4271c393e5998d200e56c102ff46fcfea169aaa2148ad9e9469616fbfdd9b",
    "slp": "54345ed55e45c23d419e9a823eef427f1cc93c83a710735ec667d068c916abf1",
    "slt": "7c173297916acf3cc7fcab2713be4c60b27312316765a90934651d367226b4ea",
}
SPEAKERS = tuple(SHA256)
ARCHIVES = {
    speaker: Archive(
        f"http://festvox.org/cmu_arctic/packed/cmu_us_{speaker}_arctic.tar.bz2",
        sha256,
        stored_in="ARCTIC",
        unpacked_in="ARCTIC",
    )
    for speaker, sha256 in SHA256.items()
}

PROMPT = re.compile(r'\(\s*(\S+)\s+"(.*)"\s*\)')
"""Line of `txt.done.data`: `( arctic_a0001 "Author of the danger trail, Philip Steels, etc." )`."""


class CMUArctic(Corpus):
    """CMU Arctic: 18 speakers read phonetically balanced English sentences.

    Most sentences are read by every speaker. The licence is permissive. Gender and accent are known for eleven
    speakers. Available at festvox.org/cmu_arctic, or by `download`.

    Example:
        >>> corpus = CMUArctic("corpora", speakers=["bdl", "slt"])
        >>> corpus.speakers
        ['bdl', 'slt']
    """

    def __init__(self, root: str, speakers: Sequence[str] = SPEAKERS, download: bool = False) -> None:
        """Specify the folder and the speakers.

        Args:
            root: folder that contains `ARCTIC/cmu_us_aew_arctic/…`.
            speakers: any of aew, ahw, aup, awb, axb, bdl, clb, eey, fem, gka, jmk, ksp, ljm, lnh, rms, rxr, slp
                and slt.
            download: download missing speakers into `root` (about 0.1 GB each).
        """
        self.root = root
        self.speakers = speakers
        self.download = download

    def table(self) -> pd.DataFrame:
        """List the prompted recordings, without opening them."""
        check_names("CMU Arctic speaker", self.speakers, SPEAKERS)
        rows = [row for speaker in dict.fromkeys(self.speakers) for row in self._rows(speaker)]
        table = pd.DataFrame(rows, columns=["id", "path", "speaker", "text"])
        add_speaker_column(table, "gender", GENDERS)
        add_speaker_column(table, "accent", ACCENTS)
        return check_table(table, f"CMU Arctic in {self.root}")

    def _rows(self, speaker: str) -> list[tuple[str, str, str, str]]:
        archive, name = ARCHIVES[speaker], f"ARCTIC/cmu_us_{speaker}_arctic"
        folder = published_folder(absolute(self.root), name, archive, download=self.download)
        with layout_errors(folder):
            prompts = dict(_prompts(folder / "etc" / "txt.done.data"))
        recordings = folder / "wav"
        return [(f"{speaker}/{key}", str(recordings / f"{key}.wav"), speaker, text) for key, text in prompts.items()]


def _prompts(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        prompt = PROMPT.fullmatch(line.strip())
        if prompt:
            yield prompt[1], prompt[2].replace('\\"', '"')
        elif line.strip():
            raise ValueError(f"line {number} of {path.name} is not a prompt")
