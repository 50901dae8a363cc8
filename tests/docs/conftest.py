"""Shared by the documentation tests: pages, tools, fenced blocks."""

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCS, TOOLS = ROOT / "docs", ROOT / "tools" / "docs"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    return sorted(DOCS.rglob("*.md"))


def blocks(path: Path, *languages: str) -> list[tuple[str, str]]:
    """Fenced blocks of a page: (language, text)."""
    return [block for block in FENCE.findall(path.read_text(encoding="utf-8")) if block[0] in languages]


@pytest.fixture(scope="session")
def tool() -> Callable[[str], ModuleType]:
    """Load a module of tools/docs by name."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    return load
