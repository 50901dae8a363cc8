"""Shipped configs and documentation name classes of the package by the class name alone."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FUNCTIONS = {"lightning_mia.training.fsdp.each_layer"}  # jsonargparse finds classes by name, functions by path
SOURCES = sorted([*(ROOT / "configs").rglob("*.yaml"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])


def documents(path: Path) -> list[object]:
    """The YAML in a config or in the fenced blocks of a page."""
    text = path.read_text(encoding="utf-8")
    blocks = [text] if path.suffix == ".yaml" else YAML_BLOCK.findall(text)
    return [yaml.safe_load(block) for block in blocks]


def strings(value: object) -> Iterator[str]:
    """All strings in a JSON-like value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_yaml_names_classes_without_their_modules(path: Path) -> None:
    paths = {text for document in documents(path) for text in strings(document) if text.startswith("lightning_mia.")}
    assert paths <= FUNCTIONS


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_text_has_no_class_path_with_modules(path: Path) -> None:
    """Comments and commands too."""
    assert not re.findall(r"class_path: lightning_mia\.\S+", path.read_text(encoding="utf-8"))
