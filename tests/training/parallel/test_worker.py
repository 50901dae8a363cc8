"""What a worker says of its tasks, in this process."""

import logging
import pickle
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from lightning_mia.training.parallel import worker as worker_process
from lightning_mia.training.parallel.scheduler import Done, Failed
from lightning_mia.training.parallel.worker import EventSender, _Sender, outcome
from lightning_mia.utilities.errors import InputError


def test_shares_are_told_now_and_then_and_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    tell = EventSender(told.append)
    now = tell.last
    monkeypatch.setattr(worker_process, "time", SimpleNamespace(monotonic=lambda: now))
    for _ in range(100):
        now += 0.01
        tell(0.01)
    tell.flush()
    assert 3 <= len(told) <= 6
    assert sum(told) == pytest.approx(1)


def test_how_a_task_ended(deeds: ModuleType, tmp_path: Path) -> None:
    tell = EventSender(lambda _: None)
    assert outcome(pickle.dumps(deeds.Deed("good", tmp_path)), tell) == Done()
    assert (tmp_path / "good").exists()
    refused = outcome(pickle.dumps(deeds.Refused("bad", tmp_path)), tell)
    assert refused == Failed("bad cannot be done", mendable=True)
    assert isinstance(refused.error(), InputError)
    broken = outcome(pickle.dumps(deeds.Broken("bad", tmp_path)), tell)
    assert isinstance(broken, Failed)
    assert not isinstance(broken.error(), InputError)
    assert "ZeroDivisionError: a bug of ours" in str(broken.error())
    assert isinstance(outcome(b"no pickle", tell), Failed)


def test_the_log_can_be_sent() -> None:
    sent: list[logging.LogRecord] = []
    log = logging.Logger("lightning_mia.somewhere")
    log.addHandler(_Sender(sent.append))
    try:
        raise ValueError("not to be pickled")
    except ValueError:
        log.warning("%s of %s", 1, object, exc_info=True)
    (record,) = sent
    assert pickle.loads(pickle.dumps(record)).getMessage().startswith("1 of <class 'object'>")
