"""What can be wrong with a Ray cluster, told in one line before anything is done; none is started here."""

import socket
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
from lightning_mia.training.parallel.ray import Premises, decisive_versions
from lightning_mia.training.parallel.ray_cluster import address_of, join
from lightning_mia.training.parallel.settings import EngineSettings
from lightning_mia.utilities.errors import InputError
from tests.audit.shadow_models.conftest import refused


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("command", ["shadow", "audit"])
def test_without_ray_a_fleet_is_refused(
    command: str, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    line = refused(capsys, command, config, tmp_path / "R", "--fleet.size", "2", "--fleet.engine", "ray")
    assert "takes the package Ray, which is not installed: pip install lightning-mia[ray]" in line
    assert not (tmp_path / "R").exists()


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_no_cluster_at_the_address(
    scheme: str, closed_port: int, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    options = ["--fleet.size", "2", "--fleet.engine", "ray"]
    address = f"{scheme}127.0.0.1:{closed_port}"
    line = refused(capsys, "audit", config, tmp_path / "R", *options, "--fleet.ray_address", address)
    assert f"There is no Ray cluster at {address} (Connection refused); start one (ray start --head)" in line
    assert not (tmp_path / "R").exists()


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], int]]:
    """Opens a port at which every question has the same answer."""
    with ExitStack() as opened:

        def answer(words: bytes) -> int:
            listener = opened.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                with suppress(OSError):
                    connection, _ = listener.accept()
                    opened.enter_context(connection).sendall(words)

            Thread(target=serve, daemon=True).start()
            port: int = listener.getsockname()[1]
            return port

        yield answer


@pytest.mark.parametrize("scheme", ["", "ray://"])
@pytest.mark.parametrize("words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b""])
def test_an_open_port_that_is_no_ray(
    scheme: str, words: bytes, answering: Callable[[bytes], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(ray_cluster, "SECONDS_TO_ANSWER", 0.5)
    monkeypatch.delenv("RAY_USE_TLS", raising=False)
    address = f"{scheme}127.0.0.1:{answering(words)}"
    with pytest.raises(InputError, match=rf"no Ray cluster at {address} \((what answers there is no Ray|timed out)\)"):
        join(EngineSettings(engine="ray", ray_address=address))


@pytest.mark.parametrize("end", [ConnectionError("no\nmore"), SystemExit(15), RuntimeError("")])
def test_what_ray_says_of_a_wrong_address_is_one_line(end: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise end

    ray = type("", (), {"is_initialized": lambda: False, "init": fail})
    monkeypatch.setattr(ray_cluster, "import_ray", lambda: ray)
    with pytest.raises(InputError, match=r"^There is no Ray cluster at auto \(.+\); start one") as raised:
        join(EngineSettings(engine="ray", ray_address="auto"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:port"])
def test_what_is_no_address(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(InputError, match="is no address of a Ray cluster"):
        join(EngineSettings(engine="ray", ray_address=address))


@pytest.mark.parametrize("within", [True, False])
def test_a_task_that_holds_a_gpu_waits_for_no_other(within: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    resources = {"CPU": 1.0, "GPU": 1.0}
    context = SimpleNamespace(get_task_id=lambda: "a" * within, get_assigned_resources=lambda: resources)
    ray = SimpleNamespace(is_initialized=lambda: True, get_runtime_context=lambda: context)
    monkeypatch.setattr(ray_cluster, "import_ray", lambda: ray)
    settings = EngineSettings(engine="ray", gpus_per_model=0.5)
    if within:
        with pytest.raises(InputError, match=r"This cell of a grid holds a GPU .* give --fleet.engine local"):
            join(settings)
        resources.pop("GPU")
    join(settings)


def test_where_the_address_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert address_of(EngineSettings(engine="ray")) == "local"
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert address_of(EngineSettings(engine="ray")) == "head:6379"
    assert address_of(EngineSettings(engine="ray", ray_address="auto")) == "auto"


def test_what_a_node_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "R" / "marker"
    assert f"does not see the folder {tmp_path}/none" in Premises(f"{tmp_path}/none", "", {}).problem()
    premises = Premises(str(tmp_path), str(marker), decisive_versions())
    assert f"does not see {marker.parent}; give a --run_dir" in premises.problem()
    marker.parent.mkdir()
    marker.touch()
    assert premises.problem() == ""
    monkeypatch.setattr(ray_executor, "decisive_versions", lambda: {**premises.versions, "torch": "1.0"})
    assert f"has torch 1.0, not {premises.versions['torch']}: install the same" in premises.problem()
