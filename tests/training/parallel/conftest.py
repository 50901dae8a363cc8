import importlib
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def sample_jobs_path() -> str:
    """Folder in which other processes find `sample_jobs.py`."""
    return str(Path(__file__).parent)


@pytest.fixture
def sample_jobs(monkeypatch: pytest.MonkeyPatch, sample_jobs_path: str) -> ModuleType:
    """`sample_jobs.py`, under a name that other processes can import too."""
    monkeypatch.syspath_prepend(sample_jobs_path)
    return importlib.import_module("sample_jobs")
