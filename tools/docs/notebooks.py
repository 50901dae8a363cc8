"""Run the notebooks of the documentation, and show them as pages.

    python -m tools.docs.notebooks [NAME …]

runs the notebooks in `docs/notebooks` by nbclient, each in a temporary folder, and stores their outputs without
warnings and progress bars. The hooks of MkDocs make a page of each.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
SECONDS = 900
"""Longest run of a cell."""

Notebook = dict[str, Any]


def paths() -> list[Path]:
    """List the notebooks."""
    return sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> Notebook:
    """Read a notebook."""
    notebook: Notebook = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def run(path: Path) -> Notebook:
    """Run a notebook in a temporary folder.

    Args:
        path: the notebook, which is not changed.

    Returns:
        The notebook with its outputs.

    Raises:
        CellExecutionError: a cell fails.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, 4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": folder}}).execute()
    executed: Notebook = json.loads(nbformat.writes(notebook))
    for cell in executed["cells"]:
        cell["metadata"] = {}  # times of the execution
        if cell["cell_type"] == "code":
            cell["outputs"] = [output for output in cell["outputs"] if output.get("name") != "stderr"]
    executed["metadata"] = read(path)["metadata"]
    return executed


def page(path: Path) -> str:
    """Convert a notebook with outputs to Markdown."""
    parts = []
    for cell in read(path)["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
        else:
            parts += [f"```python\n{text}\n```", *map(_output, cell["outputs"])]
    parts.append(f"[Download this notebook]({path.name})")
    return "\n\n".join(filter(None, parts)) + "\n"


def _output(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return _text("".join(output["text"]))
    data = output.get("data", {})
    if html := "".join(data.get("text/html", "")):
        return f'<div class="output">\n{html}\n</div>'
    if image := "".join(data.get("image/png", "")):
        return f'<img alt="figure" src="data:image/png;base64,{image.strip()}">'
    return _text("".join(data.get("text/plain", "")))


def _text(text: str) -> str:
    return f"```text\n{text.strip()}\n```" if text.strip() else ""


def main(names: list[str]) -> None:
    """Run notebooks, all by default, and store their outputs."""
    for path in paths():
        if not names or path.stem in names:
            executed = run(path)
            path.write_text(json.dumps(executed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(path.name)


if __name__ == "__main__":
    main(sys.argv[1:])
