"""Errors of the system that a user can mend."""

import errno
import multiprocessing
from multiprocessing import synchronize
from types import SimpleNamespace

import pytest

from lightning_mia.utilities.errors import explain_lack


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (MemoryError(), "too little memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
            "lower data.batch_seconds",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "The GPU has too little memory"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. Out of shared memory"), "--shm-size"),
        (RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"), "data.num_workers"),
        (RuntimeError("unable to write to file </torch_7_1_0>: No space left on device (28)"), "/dev/shm"),
        (RuntimeError("can't start new thread"), "another thread"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "too little memory"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "another process"),
    ],
)
def test_a_lack_has_a_remedy(error: Exception, remedy: str) -> None:
    assert remedy in explain_lack(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), OSError(errno.ENOENT, "No such file", "x"), KeyError("a")]
)
def test_other_errors_have_none(error: Exception) -> None:
    assert explain_lack(error) == ""


def test_a_semaphore_that_cannot_be_made_is_a_lack_of_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(synchronize, "_multiprocessing", SimpleNamespace(SemLock=fail))
    with pytest.raises(FileNotFoundError) as error:
        multiprocessing.get_context("spawn").Lock()
    assert "/dev/shm" in explain_lack(error.value)
