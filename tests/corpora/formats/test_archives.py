"""Tests of complete, failed and interrupted downloads."""

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
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
    cmu_arctic,
    librilight,
    librispeech,
    ljspeech,
    speech_commands,
    tedlium,
    vctk,
)
from lightning_mia.corpora.formats import archives
from lightning_mia.corpora.formats.archives import Archive, published_folder
from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class Published:
    """Archive and miniature of a published corpus.

    Attributes:
        tree: name of its miniature.
        make: creates the corpus from the root and `download`.
        module: its module, which holds its archives.
        key: of the archive among several; None if there is one.
        folder: packed folder, relative to the root.
        address: of the archive.
        stored_in: folder of the archive, relative to the root.
    """

    tree: str
    make: Callable[[str, bool], Corpus]
    module: str
    key: str | None
    folder: str
    address: str
    stored_in: str = "."

    @property
    def archive(self) -> str:
        return self.address.rpartition("/")[2]

    @property
    def published(self) -> Archive:
        module = import_module(f"lightning_mia.corpora.{self.module}")
        return module.ARCHIVES[self.key] if self.key else module.ARCHIVE

    def path(self, root: Path) -> Path:
        return root / self.stored_in / self.archive

    @property
    def kind(self) -> str:
        return "zip" if self.archive.endswith("zip") else "bztar" if self.archive.endswith("bz2") else "gztar"


CORPORA = [
    Published(
        "librispeech",
        lambda root, download: LibriSpeech(root, ["train-clean-100"], download),
        "librispeech",
        "train-clean-100",
        "LibriSpeech",
        "http://www.openslr.org/resources/12/train-clean-100.tar.gz",
    ),
    Published(
        "librilight",
        lambda root, download: LibriLightLimited(root, "10h", download),
        "librilight",
        None,
        "librispeech_finetuning",
        "https://dl.fbaipublicfiles.com/librilight/data/librispeech_finetuning.tgz",
    ),
    Published(
        "vctk",
        lambda root, download: VCTK(root, "mic1", download),
        "vctk",
        None,
        "VCTK-Corpus-0.92",
        "https://datashare.is.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
    ),
    Published(
        "speech_commands",
        lambda root, download: SpeechCommands(root, download=download),
        "speech_commands",
        "v0.02",
        "SpeechCommands/speech_commands_v0.02",
        "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    ),
    Published(
        "cmu_arctic",
        lambda root, download: CMUArctic(root, ["aew"], download),
        "cmu_arctic",
        "aew",
        "ARCTIC/cmu_us_aew_arctic",
        "http://festvox.org/cmu_arctic/packed/cmu_us_aew_arctic.tar.bz2",
        stored_in="ARCTIC",
    ),
    Published(
        "ljspeech",
        lambda root, download: LJSpeech(root, download),
        "ljspeech",
        None,
        "LJSpeech-1.1",
        "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
    ),
    Published(
        "tedlium3",
        lambda root, download: TEDLIUM(root, ["train", "test"], "release3", download),
        "tedlium",
        "release3",
        "TEDLIUM_release-3",
        "http://www.openslr.org/resources/51/TEDLIUM_release-3.tgz",
    ),
]


@pytest.fixture(params=CORPORA, ids=lambda corpus: corpus.tree)
def corpus(request: pytest.FixtureRequest) -> Published:
    return request.param


@pytest.fixture
def packed(corpus, tree, tmp_path) -> Path:
    """Pack the miniature like the publisher, in the server's folder."""
    source = tree(corpus.tree, tmp_path / "publisher")
    # The archives of VCTK and Speech Commands contain the content of the folder, others the folder itself.
    content_only = corpus.tree in ("vctk", "speech_commands")
    root = source / corpus.folder if content_only else (source / corpus.folder).parent
    archive = shutil.make_archive(
        str(tmp_path / "packed"), corpus.kind, root, "." if content_only else Path(corpus.folder).name
    )
    served = tmp_path / "server" / corpus.archive
    served.parent.mkdir()
    return Path(archive).rename(served)


class Handler(SimpleHTTPRequestHandler):
    requests: list[str]

    def do_GET(self) -> None:
        self.requests.append(self.path.removeprefix("/"))
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def requests(tmp_path) -> Iterator[list[str]]:
    """Serve `tmp_path / "server"` and record the requested files.

    The first item is the server's address.
    """
    requests: list[str] = []
    handler = type("Recorder", (Handler,), {"requests": requests})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path / "server"))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        requests.append(f"http://127.0.0.1:{server.server_port}")
        yield requests
        server.shutdown()


def publish(corpus: Published, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the corpus's archive, and its number of recordings."""
    module = f"lightning_mia.corpora.{corpus.module}"
    if corpus.key:
        monkeypatch.setitem(import_module(module).ARCHIVES, corpus.key, archive)
    else:
        monkeypatch.setattr(f"{module}.ARCHIVE", archive)
    monkeypatch.setattr("lightning_mia.corpora.librispeech.N_PUBLISHED", {"train-clean-100": 2})
    monkeypatch.setattr(
        "lightning_mia.corpora.speech_commands.N_PUBLISHED", {"training": 2, "validation": 1, "testing": 1}
    )


@pytest.fixture
def served(corpus, packed, requests, monkeypatch) -> list[str]:
    """Publish the miniature; return the requested files."""
    sha256 = hashlib.sha256(packed.read_bytes()).hexdigest()
    publish(corpus, replace(corpus.published, url=f"{requests.pop()}/{corpus.archive}", sha256=sha256), monkeypatch)
    return requests


def error_of(corpus: Corpus) -> str:
    with pytest.raises(InputError) as error:
        corpus.table()
    assert "\n" not in str(error.value)
    return str(error.value)


def temporary_files(root: Path) -> list[str]:
    """List temporary files and folders of a download."""
    return [path.name for path in root.rglob("*") if path.name.endswith(".unpacking") or path.name.startswith("tmp")]


def test_addresses_are_the_publishers(corpus):
    assert corpus.published.url == corpus.address
    assert corpus.published.path(Path("root")) == corpus.path(Path("root"))


def test_checksums_are_those_of_torchaudio():
    from torchaudio import datasets

    ours = {
        archive.url: archive.sha256
        for table in (librispeech.ARCHIVES, speech_commands.ARCHIVES, cmu_arctic.ARCHIVES, tedlium.ARCHIVES)
        for archive in table.values()
    } | {archive.url: archive.sha256 for archive in (librilight.ARCHIVE, ljspeech.ARCHIVE, vctk.ARCHIVE)}
    releases = [*datasets.tedlium._RELEASE_CONFIGS.values(), *datasets.ljspeech._RELEASE_CONFIGS.values()]
    theirs = {
        **datasets.librispeech._CHECKSUMS,
        **datasets.speechcommands._CHECKSUMS,
        **datasets.cmuarctic._CHECKSUMS,
        **datasets.vctk._CHECKSUMS,
        datasets.librilight_limited._URL: datasets.librilight_limited._CHECKSUM,
        **{release["url"]: release["checksum"] for release in releases},
    }
    assert ours == theirs


def test_download(corpus, tree, served, tmp_path, capsys):
    root = tmp_path / "new" / "root"
    table = corpus.make(str(root), True).table()
    assert served == [corpus.archive]
    assert temporary_files(root) == []
    assert all(Path(path).is_file() for path in table["path"])
    by_hand = corpus.make(str(tree(corpus.tree, tmp_path / "by hand")), False).table()
    assert table.drop(columns="path").equals(by_hand.drop(columns="path"))
    assert corpus.make(str(root), True).table().equals(table)
    assert len(served) == 1


def test_archive_on_disk_is_unpacked(corpus, packed, served, tmp_path):
    root = tmp_path / "root"
    corpus.path(root).parent.mkdir(parents=True)
    packed.rename(corpus.path(root))
    assert len(corpus.make(str(root), True).table()) > 0
    assert served == []


def test_missing_folder(corpus, tmp_path):
    message = error_of(corpus.make(str(tmp_path / "nowhere"), False))
    assert "no such folder; set root to the folder that holds" in message
    assert message.endswith("or download: true")
    assert not (tmp_path / "nowhere").exists()


def test_downloaded_file_with_wrong_checksum(corpus, packed, served, tmp_path):
    packed.write_bytes(b"<html>Not found</html>")
    message = error_of(corpus.make(str(tmp_path / "root"), True))
    assert f"download failed (wrong checksum of {corpus.published.url}, expected SHA-256 " in message
    assert not corpus.path(tmp_path / "root").exists()
    assert not (tmp_path / "root" / corpus.folder).exists()
    assert temporary_files(tmp_path) == []


@pytest.mark.parametrize("fault", ["truncated", "another file"])
def test_archive_on_disk_with_wrong_checksum_is_downloaded_again(corpus, packed, served, tmp_path, fault):
    archive = corpus.path(tmp_path / "root")
    archive.parent.mkdir(parents=True)
    content = packed.read_bytes()
    wrong = content[: len(content) // 2] if fault == "truncated" else b"<html>Not found</html>"
    archive.write_bytes(wrong)
    packed.unlink()
    assert "download failed (404" in error_of(corpus.make(str(tmp_path / "root"), True))
    assert archive.read_bytes() == wrong
    assert not (tmp_path / "root" / corpus.folder).exists()
    packed.write_bytes(content)
    assert len(corpus.make(str(tmp_path / "root"), True).table()) > 0
    assert archive.read_bytes() == content
    assert served == [corpus.archive] * 2


def test_no_network(corpus, requests, tmp_path, monkeypatch):
    publish(corpus, replace(corpus.published, url=f"http://127.0.0.1:9/{corpus.archive}"), monkeypatch)
    message = error_of(corpus.make(str(tmp_path / "root"), True))
    assert "download failed (" in message and "Connection refused" in message
    assert message.endswith("try again or fetch it by hand")
    assert temporary_files(tmp_path) == []


def test_full_disk(corpus, served, tmp_path, monkeypatch):
    def write(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", write)
    assert "download failed ([Errno 28] No space left on device)" in error_of(corpus.make(str(tmp_path / "root"), True))
    assert temporary_files(tmp_path) == []


def test_failed_download_keeps_existing_files_usable(tree, tmp_path, monkeypatch):
    """Interrupt a download while the training talks exist."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    root = tree("tedlium3", tmp_path)
    shutil.rmtree(root / "TEDLIUM_release-3/legacy")
    monkeypatch.setattr("pooch.HTTPDownloader.__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        TEDLIUM(str(root), ["test"], download=True).table()
    assert temporary_files(root) == []
    assert len(TEDLIUM(str(root), ["train"]).table()) == 3


@pytest.mark.parametrize("corpus", [c for c in CORPORA if c.tree == "tedlium3"], indirect=True)
def test_download_adds_only_missing_files(corpus, tree, served, tmp_path):
    root = tree("tedlium3", tmp_path / "root")
    shutil.rmtree(root / "TEDLIUM_release-3/legacy")
    changed = root / "TEDLIUM_release-3/data/stm/JaneGoodall_2003X.stm"
    changed.write_text("JaneGoodall_2003X 1 JaneGoodall_2003X 0.5 1.7 <NA> corrected\n")
    table = corpus.make(str(root), True).table()
    assert table["text"].tolist() == ["thank you so much", "i 've <unk>", "corrected", "last year"]


@pytest.mark.parametrize("killed", [False, True])
def test_interrupted_unpacking_starts_again(corpus, served, tmp_path, monkeypatch, killed):
    """Kill a process that unpacks: no incomplete folder remains."""
    unpack, remove = archives._unpack, shutil.rmtree

    def interrupted(file: Path, folder: Path) -> None:
        unpack(file, folder)
        for path in list(folder.rglob("*"))[::2]:  # half of it
            path.unlink() if path.is_file() else None
        if killed:
            monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
        raise KeyboardInterrupt

    monkeypatch.setattr(archives, "_unpack", interrupted)
    root = tmp_path / "root"
    with pytest.raises(KeyboardInterrupt):
        corpus.make(str(root), True).table()
    monkeypatch.setattr(archives, "_unpack", unpack)
    monkeypatch.setattr(shutil, "rmtree", remove)
    assert bool(temporary_files(root)) == killed
    assert "no such folder; set root to" in error_of(corpus.make(str(root), False))
    assert len(corpus.make(str(root), True).table()) > 0
    assert temporary_files(root) == []
    assert served == [corpus.archive]


def test_damaged_archive(corpus, packed, requests, tmp_path, monkeypatch):
    """Unpack a damaged archive with the right checksum."""
    content = packed.read_bytes()
    damaged = content[: len(content) * 2 // 3]
    packed.write_bytes(damaged)
    sha256 = hashlib.sha256(damaged).hexdigest()
    publish(corpus, replace(corpus.published, url=f"{requests.pop()}/{corpus.archive}", sha256=sha256), monkeypatch)
    root = tmp_path / "root"
    assert "download failed (" in error_of(corpus.make(str(root), True))
    assert temporary_files(root) == []
    assert not (root / corpus.folder).exists()


def test_archive_without_the_folder(corpus, served, tmp_path):
    root, name = tmp_path / "root", corpus.archive
    with pytest.raises(InputError, match=rf"other: not contained in {name}; fetch the corpus by hand"):
        published_folder(root, "other", corpus.published, download=True)


@pytest.mark.parametrize("corpus", [c for c in CORPORA if c.tree in ("librispeech", "speech_commands")], indirect=True)
def test_fewer_recordings_than_published(corpus, tree, tmp_path):
    root = tree(corpus.tree, tmp_path)
    message = error_of(corpus.make(str(root), True))
    assert "recordings, as after an interrupted download; remove" in message
    assert len(corpus.make(str(root), False).table()) > 0


def test_root_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    message = error_of(LJSpeech(str(tmp_path / "file" / "root"), download=True))
    assert "Cannot write" in message and "choose another root" in message


def test_damaged_folder(tree, tmp_path):
    root = tree("ljspeech", tmp_path)
    (root / "LJSpeech-1.1/metadata.csv").unlink()
    message = error_of(LJSpeech(str(root)))
    assert "No such file or directory" in message and message.endswith("restore it as it was published")


def test_two_processes_download_once(tmp_path, monkeypatch):
    """Let one process wait while another downloads."""
    archive = Archive("http://publisher/a.tar", "")
    downloads, started, proceed = [], threading.Event(), threading.Event()

    def download(_: Archive, file: Path) -> None:
        downloads.append(file)
        started.set()
        assert proceed.wait(10)

    monkeypatch.setattr(archives, "_download", download)
    monkeypatch.setattr(archives, "_unpack", lambda _, folder: (folder / "a").mkdir(parents=True))

    def run(folders: list[Path]) -> None:
        folders.append(published_folder(tmp_path, "a", archive, download=True))

    folders: list[Path] = []
    first = threading.Thread(target=run, args=(folders,))
    second = threading.Thread(target=run, args=(folders,))
    first.start()
    assert started.wait(10)
    second.start()
    second.join(0.2)
    assert second.is_alive()
    proceed.set()
    first.join(10)
    second.join(10)
    assert folders == [tmp_path / "a"] * 2
    assert downloads == [tmp_path / "a.tar"]
