import importlib
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def deeds_path() -> str:
    """The folder in which other processes find `deeds.py`."""
    return str(Path(__file__).parent)


@pytest.fixture
def deeds(monkeypatch: pytest.MonkeyPatch, deeds_path: str) -> ModuleType:
    """`deeds.py`, under a name by which other processes find it too."""
    monkeypatch.syspath_prepend(deeds_path)
    return importlib.import_module("deeds")
