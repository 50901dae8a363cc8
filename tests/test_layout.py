"""The layout of the package: layers, import cycles, names of files."""

from collections import Counter
from pathlib import Path

import pytest

from tools.docs.imports import LAYERS, PACKAGE, ROOT, cycles, edges, imports, modules, upward

FILES = {"__init__.py", "__main__.py", "metrics.py", "py.typed"}
FOLDERS = {name for layer in LAYERS for name in layer if f"{name}.py" not in FILES}
REPEATED = {"__init__", "base", "settings"}


def package(root: Path, **sources: str) -> Path:
    """A package whose modules have these sources, keyed by path with `__` for `/`."""
    for name, source in sources.items():
        path = root / PACKAGE / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return root


def test_the_top_level_has_ten_folders_and_four_files() -> None:
    tracked = {path.name for path in (ROOT / PACKAGE).iterdir() if path.name not in ("__pycache__", "configs")}
    assert tracked == FOLDERS | FILES
    assert len(FOLDERS) == 10


def test_every_import_leads_to_a_lower_layer() -> None:
    assert [str(statement) for statement in upward(imports())] == []


def test_no_modules_import_each_other_in_a_cycle() -> None:
    assert cycles(edges(imports())) == []


def test_no_file_name_occurs_twice() -> None:
    stems = Counter(path.stem for path in modules().values())
    assert [stem for stem, count in stems.items() if count > 1 and stem not in REPEATED] == []


@pytest.mark.parametrize(
    "source",
    [
        "from lightning_mia.audit.run import x",
        "import lightning_mia.audit.run",
        "from lightning_mia.audit import run",
        "def f():\n    from lightning_mia.audit.run import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lightning_mia.audit.run import x",
    ],
)
def test_an_upward_import_is_found(source: str, tmp_path: Path) -> None:
    root = package(tmp_path, models__tera=source, audit____init__="", audit__run="")
    (statement,) = upward(imports(root))
    assert statement.importer == "lightning_mia.models.tera"
    assert statement.imported == "lightning_mia.audit.run"


def test_an_import_in_the_same_layer_is_found(tmp_path: Path) -> None:
    root = package(tmp_path, models__tera="import lightning_mia.report.html", report__html="")
    assert len(upward(imports(root))) == 1


def test_a_cycle_is_found(tmp_path: Path) -> None:
    root = package(
        tmp_path,
        models__a="from lightning_mia.models.b import x",
        models__b="def f():\n    from lightning_mia.models import c",
        models__c="import lightning_mia.models.a",
    )
    assert cycles(edges(imports(root))) == [[f"lightning_mia.models.{name}" for name in "abc"]]


def test_a_folder_without_a_layer_is_refused(tmp_path: Path) -> None:
    root = package(tmp_path, helpers__a="import lightning_mia.models.b", models__b="")
    with pytest.raises(ValueError, match="add helpers to LAYERS"):
        upward(imports(root))
