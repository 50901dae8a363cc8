import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.run_lock import locked

HOLD = """
import signal, sys, time
from pathlib import Path
from lightning_mia.utilities.run_lock import locked
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell script
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock, and wait until it does."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_second_command_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    process = hold(tmp_path)
    try:
        with pytest.raises(InputError) as error, locked(tmp_path):
            pass
    finally:
        process.kill()
        process.wait()
    message = str(error.value)
    assert message.startswith(f"{tmp_path} is in use by process {process.pid} on {os.uname().nodename} since ")
    assert message.endswith("wait until it has ended, or give another --run_dir")
    assert "\n" not in message


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_lock_of_a_process_that_died_is_free(number: int, tmp_path: Path) -> None:
    process = hold(tmp_path)
    process.send_signal(number)
    process.wait()
    with locked(tmp_path):
        assert json.loads((tmp_path / ".lock.json").read_text())["pid"] == os.getpid()
    assert not (tmp_path / ".lock.json").exists()


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path):
        child = os.fork()
        if not child:
            time.sleep(30)
            os._exit(0)
    try:
        with locked(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_the_processes_of_one_command_share_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locked(tmp_path):
        monkeypatch.setenv("LOCAL_RANK", "1")
        with locked(tmp_path):
            pass


def test_leftovers_of_killed_processes_are_swept(tmp_path: Path) -> None:
    leftovers = [
        ".stage.json.d2jzq_oo.json",  # of an earlier version
        "target/.trained_utterances.csv.tmp-a1b2c3d4.csv",
        "target/last.part",
        "probes/m-answers-0a.shards/.0b.npz.tmp-a1b2c3d4.npz",
        f".seen-by-all-{'0f' * 16}",
        "report/.tensorboard.tmp-a1b2c3d4/tensorboard/events",
    ]
    kept = [
        ".config.settings.yaml",
        ".gitignore",
        "target/last.ckpt",
        "cells/a/.lock",
        "cells/a/.x.csv.tmp-a1b2c3d4.csv",
    ]
    for name in (*leftovers, *kept):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with locked(tmp_path):
        pass
    assert [name for name in leftovers if (tmp_path / name).exists()] == []
    assert [name for name in kept if not (tmp_path / name).exists()] == []
    assert not (tmp_path / "report/.tensorboard.tmp-a1b2c3d4").exists()


def test_what_other_processes_of_one_command_are_writing_is_not_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    written, left = (tmp_path / f".split.json.tmp-a1b2c3d{digit}.json" for digit in "45")
    for path in (written, left):
        path.touch()
    an_hour_ago = time.time() - 3600
    os.utime(left, (an_hour_ago, an_hour_ago))
    with locked(tmp_path):
        assert [path for path in (written, left) if path.exists()] == [written]


def test_a_refused_command_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such manifest"), locked(tmp_path / "run"):
        raise InputError("no such manifest")
    assert not (tmp_path / "run").exists()


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(InputError, match="is a file, but the run directory"), locked(tmp_path / "run"):
        pass
