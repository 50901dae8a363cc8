"""Errors of a Ray cluster, reported in one line before any work; no cluster is started."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from lightning_mia.training.parallel import ray as ray_executor
from lightning_mia.training.parallel import ray_cluster
from lightning_mia.training.parallel.ray import NodeRequirements, required_versions
from lightning_mia.training.parallel.ray_cluster import CONNECTION_DEFAULTS, cluster_address, connect
from lightning_mia.training.parallel.settings import ExecutorSettings
from lightning_mia.utilities.errors import InputError
from tests.audit.shadow_models.conftest import refused

ONE_SECOND = {name: "1" for name in CONNECTION_DEFAULTS if name != "RAY_BACKEND_LOG_LEVEL"}


@pytest.mark.parametrize("command", ["shadow", "audit"])
def test_without_ray_the_executor_is_refused(
    command: str, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    line = refused(capsys, command, config, tmp_path / "R", "--fleet.size", "2", "--fleet.engine", "ray")
    assert "needs the package Ray, which is not installed: pip install ray" in line
    assert not (tmp_path / "R").exists()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], int]]:
    """Opens a port that gives every connection the same reply."""
    with ExitStack() as stack:

        def serve(reply: bytes) -> int:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def accept() -> None:
                with suppress(OSError):
                    while True:
                        connection, _ = listener.accept()
                        stack.enter_context(connection).sendall(reply)

            Thread(target=accept, daemon=True).start()
            port: int = listener.getsockname()[1]
            return port

        yield serve


def audit_error(config: Path, run_dir: Path, address: str) -> list[str]:
    """Lines on stderr of an audit in its own process, since Ray reads its time-outs on import."""
    options = ["--fleet.size", "2", "--fleet.engine", "ray", "--fleet.ray_address", address]
    command = [sys.executable, "-m", "lightning_mia", "audit", "-c", str(config), "--run_dir", str(run_dir), *options]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **ONE_SECOND})
    assert run.returncode == 2
    assert not run_dir.exists()
    return run.stderr.strip().splitlines()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_no_cluster_at_the_address(scheme: str, closed_port: int, config: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    address = f"{scheme}127.0.0.1:{closed_port}"
    line = audit_error(config, tmp_path / "R", address)[-1]
    assert f"There is no Ray cluster at {address} (" in line
    assert "; start one (ray start --head)" in line


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["", "ray://"])
@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b""])
def test_an_open_port_of_another_server(
    scheme: str, reply: bytes, serve: Callable[[bytes], int], config: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    address = f"{scheme}127.0.0.1:{serve(reply)}"
    assert f"There is no Ray cluster at {address} (" in audit_error(config, tmp_path / "R", address)[-1]


@pytest.mark.parametrize("end", [ConnectionError("no\nmore"), SystemExit(15), RuntimeError("")])
def test_errors_of_ray_become_one_line(end: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise end

    ray = type("", (), {"is_initialized": lambda: False, "init": fail})
    monkeypatch.setattr(ray_cluster, "import_ray", lambda: ray)
    monkeypatch.setattr(ray_cluster, "CONNECTION_DEFAULTS", {})
    with pytest.raises(InputError, match=r"^There is no Ray cluster at auto \(.+\); start one") as raised:
        connect(ExecutorSettings(engine="ray", ray_address="auto"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:port"])
def test_invalid_addresses_are_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(ray_cluster, "CONNECTION_DEFAULTS", {})
    with pytest.raises(InputError, match="is not the address of a Ray cluster"):
        connect(ExecutorSettings(engine="ray", ray_address=address))


@pytest.mark.parametrize("within", [True, False])
def test_a_ray_task_with_a_gpu_does_not_wait_for_another(within: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    resources = {"CPU": 1.0, "GPU": 1.0}
    context = SimpleNamespace(get_task_id=lambda: "a" * within, get_assigned_resources=lambda: resources)
    ray = SimpleNamespace(is_initialized=lambda: True, get_runtime_context=lambda: context)
    monkeypatch.setattr(ray_cluster, "import_ray", lambda: ray)
    settings = ExecutorSettings(engine="ray", gpus_per_model=0.5)
    if within:
        with pytest.raises(InputError, match=r"This cell of a grid holds a GPU .* give --fleet.engine local"):
            connect(settings)
        resources.pop("GPU")
    connect(settings)


def test_source_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert cluster_address(ExecutorSettings(engine="ray")) == "local"
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert cluster_address(ExecutorSettings(engine="ray")) == "head:6379"
    assert cluster_address(ExecutorSettings(engine="ray", ray_address="auto")) == "auto"


def test_requirements_that_a_node_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "R" / "marker"
    assert f"does not see the folder {tmp_path}/none" in NodeRequirements(f"{tmp_path}/none", "", {}).problem()
    requirements = NodeRequirements(str(tmp_path), str(marker), required_versions())
    assert f"does not see {marker.parent}; give a --run_dir" in requirements.problem()
    marker.parent.mkdir()
    marker.touch()
    assert requirements.problem() == ""
    monkeypatch.setattr(ray_executor, "required_versions", lambda: {**requirements.versions, "torch": "1.0"})
    assert f"has torch 1.0, not {requirements.versions['torch']}: install the same" in requirements.problem()


LISTENING = """
import psutil
from lightning_mia.training.parallel.ray_cluster import connect, import_ray
from lightning_mia.training.parallel.settings import ExecutorSettings
connect(ExecutorSettings(engine="ray", workers=1))
ray = import_ray()
session = ray._private.worker._global_node.get_session_dir_path()
commands = {process.pid: " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])}
for connection in psutil.net_connections("inet"):
    if connection.status == "LISTEN" and session in commands.get(connection.pid, ""):
        print(connection.laddr.ip)
"""


@pytest.mark.long
@pytest.mark.slow
def test_a_local_cluster_is_closed_to_the_network() -> None:
    result = subprocess.run([sys.executable, "-c", LISTENING], capture_output=True, text=True, check=True)
    assert {address.removeprefix("::ffff:") for address in result.stdout.split()} == {"127.0.0.1"}
