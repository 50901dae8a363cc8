"""Tests of downloads: whole ones, ones that fail, and what a broken-off one leaves behind."""

import hashlib
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lightning_mia.corpora import (
    TEDLIUM,
    VCTK,
    CMUArctic,
    Corpus,
    LibriLightLimited,
    LibriSpeech,
    LJSpeech,
    SpeechCommands,
)
from lightning_mia.corpora.formats.archives import Archive, open_published
from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class Published:
    """How a corpus is published.

    Attributes:
        tree: name of its miniature.
        make: from the root, the corpus with `download` set.
        module: of torchaudio's data set.
        folder: what is packed, relative to the root.
        archive: the file's name at the publisher's.
        lies_in: the folder, relative to the root, that torchaudio keeps it in.
        address: where torchaudio asks for it.
    """

    tree: str
    make: Callable[[str, bool], Corpus]
    module: str
    folder: str
    archive: str
    address: str
    lies_in: str = "."

    def path(self, root: Path) -> Path:
        return root / self.lies_in / self.archive

    @property
    def kind(self) -> str:
        return "zip" if self.archive.endswith("zip") else "bztar" if self.archive.endswith("bz2") else "gztar"


CORPORA = [
    Published(
        "librispeech",
        lambda root, download: LibriSpeech(root, ["train-clean-100"], download),
        "librispeech",
        "LibriSpeech",
        "train-clean-100.tar.gz",
        "http://www.openslr.org/resources/12/train-clean-100.tar.gz",
    ),
    Published(
        "librilight",
        lambda root, download: LibriLightLimited(root, "10h", download),
        "librilight_limited",
        "librispeech_finetuning",
        "librispeech_finetuning.tgz",
        "https://dl.fbaipublicfiles.com/librilight/data/librispeech_finetuning.tgz",
    ),
    Published(
        "vctk",
        lambda root, download: VCTK(root, "mic1", download),
        "vctk",
        "VCTK-Corpus-0.92",
        "VCTK-Corpus-0.92.zip",
        "https://datashare.is.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
    ),
    Published(
        "speech_commands",
        lambda root, download: SpeechCommands(root, download=download),
        "speechcommands",
        "SpeechCommands/speech_commands_v0.02",
        "speech_commands_v0.02.tar.gz",
        "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    ),
    Published(
        "cmu_arctic",
        lambda root, download: CMUArctic(root, ["aew"], download),
        "cmuarctic",
        "ARCTIC/cmu_us_aew_arctic",
        "cmu_us_aew_arctic.tar.bz2",
        "http://festvox.org/cmu_arctic/packed/cmu_us_aew_arctic.tar.bz2",
        lies_in="ARCTIC",
    ),
    Published(
        "ljspeech",
        lambda root, download: LJSpeech(root, download),
        "ljspeech",
        "LJSpeech-1.1",
        "LJSpeech-1.1.tar.bz2",
        "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
    ),
    Published(
        "tedlium3",
        lambda root, download: TEDLIUM(root, ["train", "test"], "release3", download),
        "tedlium",
        "TEDLIUM_release-3",
        "TEDLIUM_release-3.tgz",
        "http://www.openslr.org/resources/51/TEDLIUM_release-3.tgz",
    ),
]


@pytest.fixture(params=CORPORA, ids=lambda corpus: corpus.tree)
def corpus(request: pytest.FixtureRequest) -> Published:
    return request.param


@pytest.fixture
def packed(corpus, tree, tmp_path) -> Path:
    """The corpus's archive as the publisher packs it, outside the root."""
    source = tree(corpus.tree, tmp_path / "publisher")
    # VCTK's and Speech Commands' archives, and the voices of CMU Arctic, begin inside or at their folder
    inside = corpus.tree in ("vctk", "speech_commands")
    root = source / corpus.folder if inside else (source / corpus.folder).parent
    made = shutil.make_archive(str(tmp_path / "packed"), corpus.kind, root, "." if inside else Path(corpus.folder).name)
    return Path(made)


@pytest.fixture
def as_published(corpus, packed, monkeypatch) -> None:
    """Tell torchaudio's tables that the miniature is what was published, and our counts how many it has."""
    from torchaudio import datasets

    sha256 = hashlib.sha256(packed.read_bytes()).hexdigest()
    module = getattr(datasets, corpus.module)
    if corpus.module == "librilight_limited":
        monkeypatch.setattr(module, "_CHECKSUM", sha256)
    elif corpus.module in ("ljspeech", "tedlium"):
        release = "release1" if corpus.module == "ljspeech" else "release3"
        monkeypatch.setitem(module._RELEASE_CONFIGS[release], "checksum", sha256)
    else:
        monkeypatch.setitem(module._CHECKSUMS, corpus.address, sha256)
    monkeypatch.setattr("lightning_mia.corpora.librispeech.UTTERANCES", {"train-clean-100": 2})
    monkeypatch.setattr(
        "lightning_mia.corpora.speech_commands.UTTERANCES", {"training": 2, "validation": 1, "testing": 1}
    )


@pytest.fixture
def served(corpus, packed, monkeypatch) -> list[str]:
    """Let torchaudio "download" the packed file, checksum and all; the addresses that it asked for."""
    from torch.hub import download_url_to_file

    asked: list[str] = []

    def download(url: str, path: str, hash_prefix: str | None = None) -> None:
        asked.append(url)
        assert hash_prefix, "torchaudio would not check what it gets"
        download_url_to_file(packed.as_uri(), path, hash_prefix, progress=False)

    monkeypatch.setattr(f"torchaudio.datasets.{corpus.module}.download_url_to_file", download)
    return asked


def refused(corpus: Corpus) -> str:
    with pytest.raises(InputError) as error:
        corpus.table()
    assert "\n" not in str(error.value)
    return str(error.value)


def left_over(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*.unfinished")]


def test_download(corpus, tree, as_published, served, tmp_path):
    root = tmp_path / "new" / "root"
    table = corpus.make(str(root), True).table()
    assert served == [corpus.address]
    assert left_over(root) == []
    assert all(Path(path).is_file() for path in table["path"])
    by_hand = corpus.make(str(tree(corpus.tree, tmp_path / "by hand")), False).table()
    assert table.drop(columns="path").equals(by_hand.drop(columns="path"))
    assert corpus.make(str(root), True).table().equals(table)
    assert len(served) == 1


def test_archive_that_lies_there_is_extracted(corpus, packed, as_published, served, tmp_path):
    root = tmp_path / "root"
    corpus.path(root).parent.mkdir(parents=True)
    packed.rename(corpus.path(root))
    assert len(corpus.make(str(root), True).table()) > 0
    assert served == []


def test_missing_folder(corpus, tmp_path):
    message = refused(corpus.make(str(tmp_path / "nowhere"), False))
    assert "no such folder; set root to the folder that holds" in message
    assert message.endswith("or download: true")
    assert not (tmp_path / "nowhere").exists()


def test_downloaded_file_with_wrong_checksum(corpus, packed, served, tmp_path):
    message = refused(corpus.make(str(tmp_path / "root"), True))
    assert "download failed (invalid hash value" in message
    assert not corpus.path(tmp_path / "root").exists()
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("fault", ["cut short", "another file"])
def test_archive_that_lies_there_with_wrong_checksum(corpus, packed, as_published, served, tmp_path, fault):
    root = tmp_path / "root"
    archive = corpus.path(root)
    archive.parent.mkdir(parents=True)
    content = packed.read_bytes()
    archive.write_bytes(content[: len(content) // 2] if fault == "cut short" else b"<html>Not found</html>")
    message = refused(corpus.make(str(root), True))
    assert f"{archive}: wrong checksum (SHA-256 " in message
    assert served == []
    assert not (root / corpus.folder).exists() or corpus.tree == "librispeech"
    assert left_over(root) == []


def test_no_network(corpus, tmp_path, monkeypatch):
    def offline(*_: object, **__: object) -> None:
        raise OSError("<urlopen error [Errno -3] Temporary failure in name resolution>")

    monkeypatch.setattr(f"torchaudio.datasets.{corpus.module}.download_url_to_file", offline)
    message = refused(corpus.make(str(tmp_path / "root"), True))
    assert "download failed (<urlopen error [Errno -3] Temporary failure in name resolution>); try again" in message
    assert left_over(tmp_path) == []


def test_a_failed_download_leaves_what_is_there_usable(tree, tmp_path, monkeypatch):
    """The training talks are there, the others cannot be fetched."""

    def offline(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    root = tree("tedlium3", tmp_path)
    shutil.rmtree(root / "TEDLIUM_release-3/legacy")
    monkeypatch.setattr("torchaudio.datasets.tedlium.download_url_to_file", offline)
    with pytest.raises(KeyboardInterrupt):
        TEDLIUM(str(root), ["test"], download=True).table()
    assert left_over(root) == []
    assert len(TEDLIUM(str(root), ["train"]).table()) == 3


def test_extraction_that_broke_off_is_remembered(corpus, packed, as_published, served, tmp_path, monkeypatch):
    """A folder is there when the process is killed: nobody knows whether it is whole."""
    from torchaudio import datasets

    module = getattr(datasets, corpus.module)
    extract = "_extract_zip" if corpus.kind == "zip" else "_extract_tar"
    whole = getattr(module, extract)

    def killed(*arguments: str) -> None:
        whole(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, extract, killed)
    root = tmp_path / "root"
    with pytest.raises(KeyboardInterrupt):
        corpus.make(str(root), True).table()
    monkeypatch.setattr(module, extract, whole)
    for download in (True, False):
        message = refused(corpus.make(str(root), download))
        assert "extracted in part only, as a broken-off download leaves it; remove it and " in message
        assert f"{corpus.archive}.unfinished" in message
    folder = next(part for part in message.split(":") if part)
    assert Path(folder).is_relative_to(root)
    shutil.rmtree(folder)
    assert len(corpus.make(str(root), True).table()) > 0
    assert left_over(root) == []


def test_archive_that_cannot_be_extracted(corpus, packed, as_published, tmp_path, monkeypatch):
    """What no checksum tells: an archive that its own format finds damaged, as on a bad disk."""
    monkeypatch.setattr("lightning_mia.corpora.formats.archives._check_sum", lambda archive: None)
    root = tmp_path / "root"
    archive = corpus.path(root)
    archive.parent.mkdir(parents=True)
    content = packed.read_bytes()
    archive.write_bytes(content[: len(content) * 2 // 3])
    message = refused(corpus.make(str(root), True))
    assert "download failed (" in message
    if left_over(root):  # something was extracted
        assert "extracted in part only" in refused(corpus.make(str(root), False))


@pytest.mark.parametrize("corpus", [c for c in CORPORA if c.tree in ("librispeech", "speech_commands")], indirect=True)
def test_fewer_recordings_than_published(corpus, tree, tmp_path):
    root = tree(corpus.tree, tmp_path)
    assert "recordings, as a broken-off download leaves them; remove" in refused(corpus.make(str(root), True))
    assert len(corpus.make(str(root), False).table()) > 0


def test_root_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    message = refused(LJSpeech(str(tmp_path / "file" / "root"), download=True))
    assert "Cannot write" in message and "choose another root" in message


def test_damaged_folder_of_a_torchaudio_data_set(tree, tmp_path):
    root = tree("ljspeech", tmp_path)
    (root / "LJSpeech-1.1/metadata.csv").unlink()
    message = refused(LJSpeech(str(root)))
    assert "No such file or directory" in message and message.endswith("restore it as it was published")


def test_two_processes_fetch_once(tmp_path):
    """While one fetches, another waits and then finds the folder."""
    archive = Archive(tmp_path / "a.tar", tmp_path / "a", "")
    calls, started, go_on = [], threading.Event(), threading.Event()

    def make() -> str:
        calls.append(archive.folder.exists())
        if not archive.folder.exists():
            archive.folder.mkdir()
            started.set()
            assert go_on.wait(10)
        return "data"

    def run(results: list[str]) -> None:
        results.append(open_published(make, archive, download=True, holds="a", needed=archive.folder / "part"))

    results: list[str] = []
    first = threading.Thread(target=run, args=(results,))
    second = threading.Thread(target=run, args=(results,))
    first.start()
    assert started.wait(10)
    (archive.folder / "part").mkdir()  # half done: what is wanted is there, the mark too
    second.start()
    second.join(0.2)
    assert second.is_alive()
    go_on.set()
    first.join(10)
    second.join(10)
    assert results == ["data", "data"]
    assert calls == [False, True]
