"""Events of a worker, in this process."""

import logging
import pickle
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from lightning_mia.training.parallel import worker as worker_module
from lightning_mia.training.parallel.scheduler import Done, Failed
from lightning_mia.training.parallel.worker import EventSender, _SenderHandler, run_job
from lightning_mia.utilities.errors import InputError


def test_progress_is_sent_now_and_then_and_sums_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[object] = []
    sender = EventSender(events.append)
    now = sender.last_report
    monkeypatch.setattr(worker_module, "time", SimpleNamespace(monotonic=lambda: now))
    for _ in range(100):
        now += 0.01
        sender(0.01)
    sender.flush()
    assert 3 <= len(events) <= 6
    assert sum(events) == pytest.approx(1)


def test_outcome_of_a_job(sample_jobs: ModuleType, tmp_path: Path) -> None:
    sender = EventSender(lambda _: None)
    assert run_job(pickle.dumps(sample_jobs.SampleJob("good", tmp_path)), sender) == Done()
    assert (tmp_path / "good").exists()
    refused = run_job(pickle.dumps(sample_jobs.Refused("bad", tmp_path)), sender)
    assert refused == Failed("bad cannot be done", user_error=True)
    assert isinstance(refused.exception(), InputError)
    broken = run_job(pickle.dumps(sample_jobs.Broken("bad", tmp_path)), sender)
    assert isinstance(broken, Failed)
    assert not isinstance(broken.exception(), InputError)
    assert "ZeroDivisionError: a bug of ours" in str(broken.exception())
    assert isinstance(run_job(b"no pickle", sender), Failed)


def test_log_records_can_be_sent() -> None:
    sent: list[logging.LogRecord] = []
    log = logging.Logger("lightning_mia.somewhere")
    log.addHandler(_SenderHandler(sent.append))
    try:
        raise ValueError("not to be pickled")
    except ValueError:
        log.warning("%s of %s", 1, object, exc_info=True)
    (record,) = sent
    assert pickle.loads(pickle.dumps(record)).getMessage().startswith("1 of <class 'object'>")
