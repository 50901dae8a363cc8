import importlib
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def deeds(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`deeds.py`, under a name by which other processes find it too."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("deeds")
