"""Downloads from a small hub of our own, which answers as the real one does."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest

from lightning_mia.models.huggingface.hub import find_folder, one_line
from lightning_mia.utilities.errors import InputError

COMMIT = "a" * 40
SAFE = {"config.json": b"{}", "preprocessor_config.json": b"{}", "model.safetensors": b"safe", "tf_model.h5": b"tf"}
REPOSITORIES = {
    "org/both": {**SAFE, "pytorch_model.bin": b"pickled"},
    "org/sharded": {
        "config.json": b"{}",
        "model.safetensors.index.json": b"{}",
        "model-00001-of-00001.safetensors": b"s",
    },
    "org/pickled": {"config.json": b"{}", "pytorch_model.bin": b"pickled"},
}
REFUSED = {"org/gated": "GatedRepo", "org/nowhere": "RepoNotFound"}


class Answers(BaseHTTPRequestHandler):
    """What the hub answers to the requests of a download."""

    requested: list[str]

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        path = self.path.split("?")[0].removeprefix("/api/models").strip("/")
        name, rest = "/".join(path.split("/")[:2]), path.split("/")[2:]
        if name not in REPOSITORIES:
            return self.refuse(404 if name != "org/gated" else 403, REFUSED.get(name, ""))
        if rest[:1] == ["revision"] and rest[1] == "nosuch":
            return self.refuse(404, "RevisionNotFound")
        files = REPOSITORIES[name]
        if rest[:1] == ["resolve"]:
            self.requested.append(rest[-1])
            content = files[rest[-1]]
        elif rest[:1] == ["tree"]:
            content = json.dumps([self.entry(file, of) for file, of in files.items()]).encode()
        else:
            siblings = [{"rfilename": file} for file in files]
            content = json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode()
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    @staticmethod
    def entry(file: str, content: bytes) -> dict[str, object]:
        return {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    """A hub with an empty cache before it."""
    Answers.requested = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    files = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield server
    server.shutdown()
    server.server_close()


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_local_folder_is_returned(tmp_path: Path) -> None:
    assert find_folder(str(tmp_path)) == tmp_path


def test_weights_are_downloaded_on_request(hub: ThreadingHTTPServer) -> None:
    described = find_folder("org/both", weights=False)
    assert names_in(described) == {"config.json", "preprocessor_config.json"}
    assert find_folder("org/both") == described
    assert names_in(described) == {"config.json", "preprocessor_config.json", "model.safetensors"}


@pytest.mark.parametrize(
    ("name", "weights"),
    [("org/sharded", {"model.safetensors.index.json", "model-00001-of-00001.safetensors"}),
     ("org/pickled", {"pytorch_model.bin"})],
)  # fmt: skip
def test_pickled_weights_are_the_second_choice(hub: ThreadingHTTPServer, name: str, weights: set[str]) -> None:
    assert names_in(find_folder(name)) == {"config.json", *weights}


def test_second_start_uses_the_cache_offline(hub: ThreadingHTTPServer) -> None:
    folder = find_folder("org/both")
    Answers.requested.clear()
    assert find_folder("org/both") == folder
    assert not Answers.requested
    hub.shutdown()
    hub.server_close()
    start = time.monotonic()
    assert find_folder("org/both") == find_folder("org/both", COMMIT) == folder
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("org/nowhere", None, "not a local folder, and the hub has no such repository.*hf auth login.*give a folder"),
        ("org/gated", None, "gated.*hf auth login"),
        ("org/both", "nosuch", "no revision nosuch"),
    ],
)
def test_hub_errors_are_one_line(hub: ThreadingHTTPServer, name: str, revision: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        find_folder(name, revision)
    assert "\n" not in str(error.value)


def test_offline_error_explains_local_folders(hub: ThreadingHTTPServer) -> None:
    hub.shutdown()
    hub.server_close()
    start = time.monotonic()
    with pytest.raises(InputError, match=r"cannot be reached \(.*give a folder with config\.json") as error:
        find_folder("org/both")
    assert time.monotonic() - start < 5
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/no/such/folder", "no folder /no/such/folder"),
        ("./nowhere", "no folder ./nowhere"),
        ("a/b/c", "no folder a/b/c"),
        (" ", "no folder"),
        ("two words", "neither a local folder nor a possible hub name"),
    ],
)
def test_impossible_names_do_not_query_the_hub(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_folder(name)


def test_files_and_revisions_of_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    with pytest.raises(InputError, match="is a file; give a folder"):
        find_folder(str(tmp_path / "config.json"))
    with pytest.raises(InputError, match="no revisions"):
        find_folder(str(tmp_path), "main")


def test_long_messages_are_shortened() -> None:
    assert one_line(ValueError("word " * 100)) == ("word " * 100)[:200] + "…"
    assert one_line(ConnectionError()) == "ConnectionError"
