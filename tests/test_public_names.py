"""`import lightning_mia` gives the public names at once, and imports nothing until one is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lightning_mia
import lightning_mia.attacks
import lightning_mia.corpora
import lightning_mia.models

FUNCTIONS_OF_ARRAYS = {"lira", "rmia", "bavaria", "midpoint", "attack_r", "calibrated_loss"}
"""Used as `attacks.lira`: beside the class `LiRA` on the top level, `lira` would be hard to tell apart."""


@pytest.mark.parametrize("name", lightning_mia.__all__)
def test_a_public_name_can_be_imported(name: str) -> None:
    assert getattr(lightning_mia, name) is not None


def test_the_list_of_names_is_sorted_and_complete() -> None:
    assert lightning_mia.__all__ == sorted(lightning_mia.__all__)
    for package in (lightning_mia.attacks, lightning_mia.corpora, lightning_mia.models):
        assert set(package.__all__) - FUNCTIONS_OF_ARRAYS <= set(lightning_mia.__all__)
    assert set(lightning_mia.__all__) <= set(dir(lightning_mia))


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(str(lightning_mia.__file__)).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        alias.name: str(node.module).removeprefix("lightning_mia.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == lightning_mia.MODULES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = lightning_mia.Nothing


def test_importing_the_package_imports_no_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import lightning_mia; dir(lightning_mia); "
        "print({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "{'lightning_mia'}"


@pytest.mark.slow
def test_submodules_of_functions_need_no_import() -> None:
    code = "import lightning_mia; print(lightning_mia.attacks.lira.__name__, lightning_mia.metrics.AUROC.__name__)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "lira AUROC"
