"""The notebooks run, and are stored with their outputs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.docs.conftest import ROOT
from tools.docs import notebooks

NAMES = ["checkpoint", "losses", "recordings"]


def code_cells(notebook: notebooks.Notebook) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_there_are_three_notebooks_in_the_navigation() -> None:
    assert [path.stem for path in notebooks.paths()] == NAMES
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert all(f"notebooks/{name}.md" in navigation for name in NAMES)


@pytest.mark.parametrize("path", notebooks.paths(), ids=lambda path: path.stem)
def test_outputs_are_stored_without_errors_and_local_paths(path: Path) -> None:
    cells = code_cells(notebooks.read(path))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert outputs
    assert not [output for output in outputs if output["output_type"] == "error"]
    text = re.sub(r"data:image/png;base64,[^\"]*", "", notebooks.page(path))
    assert not re.search(r"/(tmp|home|root|work|Users)/", text)
    assert "data:image/png;base64," in notebooks.page(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", notebooks.paths(), ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path) -> None:
    pytest.importorskip("nbclient")
    executed = notebooks.run(path)
    assert [cell["source"] for cell in executed["cells"]] == [cell["source"] for cell in notebooks.read(path)["cells"]]


def test_outputs_become_a_page(tmp_path: Path) -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["one\n", "two\n"]},
        {"output_type": "execute_result", "data": {"text/html": ["<p>three</p>"], "text/plain": ["3"]}},
        {"output_type": "execute_result", "data": {"image/png": "QUJD\n", "text/plain": ["<Figure>"]}},
        {"output_type": "execute_result", "data": {"text/plain": ["4"]}},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# A\n"]},
        {"cell_type": "code", "source": ["f()"], "outputs": outputs},
    ]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    page = notebooks.page(path)
    parts = ("# A", "```python\nf()\n```", "```text\none\ntwo\n```", "<p>three</p>", "base64,QUJD", "```text\n4\n```")
    positions = [page.index(part) for part in parts]
    assert positions == sorted(positions)
    assert "[Download this notebook](a.ipynb)" in page
