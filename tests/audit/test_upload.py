import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from lightning_mia.audit.upload import MARKER, ResultsUploader, grid_files, run_files
from lightning_mia.utilities.errors import InputError
from tests.audit.shadow_models.conftest import refused, run


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    for path in files.find("/"):
        files.rm_file(path)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    for name in ("split.csv", "report/results.json", "report/scores.csv", "report/speakers.csv", "target/stage.json"):
        (tmp_path / "R" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "R" / name).write_text(name)
    (tmp_path / "R" / "target" / "model.ckpt").write_text("weights")
    return tmp_path / "R"


def copied(memory: Any, root: str = "/copy") -> dict[str, str]:
    return {path.removeprefix(f"{root}/"): memory.cat_file(path).decode() for path in memory.find(root)}


def test_files_with_names_are_uploaded_only_on_request(run_dir: Path, memory: Any) -> None:
    ResultsUploader("memory://without", run_dir).update(run_files(run_dir), final=True)
    assert set(copied(memory, "/without")) == {"report/results.json", MARKER}
    ResultsUploader("memory://copy", run_dir).update(run_files(run_dir, with_names=True), final=True)
    uploaded = copied(memory)
    hashes = json.loads(uploaded.pop(MARKER))["files"]
    assert set(uploaded) == {
        "split.csv",
        "report/results.json",
        "report/scores.csv",
        "report/speakers.csv",
        "target/stage.json",
    }
    assert {name: hashlib.sha256(text.encode()).hexdigest() for name, text in uploaded.items()} == hashes


def test_finished_cells_of_a_grid_are_uploaded(run_dir: Path, memory: Any) -> None:
    root = run_dir.parent
    (root / "results.csv").write_text("table")
    ResultsUploader("memory://copy", root).update(grid_files(root, [run_dir]))
    assert {"results.csv", "R/report/results.json", MARKER} == set(copied(memory))
    (root / "base.yaml").write_text("path: /home/jane/M.csv")
    ResultsUploader("memory://named", root).update(grid_files(root, [run_dir], with_names=True))
    assert {"base.yaml", "R/split.csv"} < set(copied(memory, "/named"))
    ResultsUploader("memory://other", root).update(grid_files(root, []))
    assert set(copied(memory, "/other")) == {"results.csv", MARKER}


def test_an_incomplete_copy_has_no_marker(
    run_dir: Path, memory: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    uploader = ResultsUploader("memory://copy", run_dir)
    uploader.update(run_files(run_dir, with_names=True))
    for name in ("results.json", "scores.csv"):
        (run_dir / "report" / name).write_text("new")
    write = MemoryFileSystem.pipe_file

    def fail_on_scores(self: Any, path: str, value: bytes, **options: Any) -> None:
        if path.endswith("scores.csv"):
            raise OSError("the network is gone")
        write(self, path, value, **options)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", fail_on_scores)
    uploader.update(run_files(run_dir, with_names=True))
    assert MARKER not in copied(memory)
    assert "the network is gone); will be retried" in caplog.messages[0]
    with pytest.raises(InputError, match=rf"they are in {run_dir}: run the same command again"):
        uploader.update(run_files(run_dir, with_names=True), final=True)
    monkeypatch.undo()
    uploader.update(run_files(run_dir, with_names=True), final=True)
    assert copied(memory)["report/scores.csv"] == "new"
    assert MARKER in copied(memory)


def test_unchanged_files_are_not_uploaded_again(run_dir: Path, memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ResultsUploader("memory://copy", run_dir).update(run_files(run_dir, with_names=True))
    later = ResultsUploader("memory://copy", run_dir)
    written: list[str] = []
    monkeypatch.setattr(ResultsUploader, "_write", lambda self, name, content: written.append(name))
    later.update(run_files(run_dir, with_names=True))
    assert written == []
    (run_dir / "split.csv").write_text("another")
    later.update(run_files(run_dir, with_names=True))
    assert written == ["split.csv", MARKER]


UNWRITABLE = {
    "nope://R": "Protocol not known: nope",
    "file:///proc/R": "/proc/R",
    "file://{tmp_path}/file/R": "Not a directory",
}


@pytest.mark.parametrize("url", UNWRITABLE)
def test_an_unwritable_url_is_refused_before_anything_runs(
    url: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    line = refused(capsys, "audit", config, tmp_path / "R", "--results_url", url.format(tmp_path=tmp_path))
    assert line.startswith(f"lightning-mia: error: Cannot write results to {url.format(tmp_path=tmp_path)} (")
    assert UNWRITABLE[url] in line
    assert line.endswith("check --results_url")
    assert not (tmp_path / "R").exists()


def test_results_are_uploaded_after_every_shadow_model(
    config: Path, tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    update = ResultsUploader._update

    def count(self: ResultsUploader, contents: dict[str, bytes]) -> None:
        seen.append(sum(name.startswith("shadows/") for name in contents))
        update(self, contents)

    monkeypatch.setattr(ResultsUploader, "_update", count)
    options = ["--fleet.size", "2", "--fleet.workers", "1", "--fleet.targets", "own", "--trainer.max_epochs", "1"]
    options += ["--results_url", "memory://copy", "--results_names", "true"]
    assert run("shadow", config, tmp_path / "R", *options) == 0
    assert seen == [1, 2, 2]
    assert {"shadows/000/stage.json", "shadows/001/stage.json", "split.csv", MARKER} <= set(copied(memory))


def test_an_error_of_an_upload_names_no_credentials(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot write results to nowhere://host/x ") as error:
        ResultsUploader("nowhere://key:secret@host/x", tmp_path)
    assert "secret" not in str(error.value)
