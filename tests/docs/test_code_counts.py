"""Counts of a small package with known answers."""

from pathlib import Path

from tools.docs.code_counts import counts

SOURCES = {
    "__init__.py": '"""Two words."""\n__all__ = ["Shown", "Bare"]\n',
    "utilities/__init__.py": "",
    "utilities/files.py": '"""One two three four."""\n',
    "audit/__init__.py": "",
    "audit/run.py": (
        "from dataclasses import dataclass\nfrom lightning_mia.utilities.files import x\n\n@dataclass\nclass Shown:\n"
        '    """Six words are in this summary.\n\n    >>> 1\n    1\n    """\n\n\nclass Bare:\n    pass\n\n\n'
        "class Other:\n    pass\n"
    ),
    "utilities/up.py": "import lightning_mia.audit.run\n" + "\n" * 40,
}


def test_counts_of_a_small_package(tmp_path: Path) -> None:
    for name, source in SOURCES.items():
        path = tmp_path / "lightning_mia" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text("a = 1\nb = 2\n")
    figures = counts(tmp_path)
    assert figures["entries on the package's top level"] == "3"
    assert figures["layers (longest chain of imports between them)"] == "1"
    assert figures["upward imports"] == "1"
    assert figures["folders in import cycles"] == "2"
    assert figures["modules in import cycles"] == "0"
    assert figures["modules"] == "6"
    assert figures["modules under 40 lines"] == "5"
    assert figures["classes (dataclasses)"] == "3 (1)"
    assert figures["docstring summary, words, median / p90"] == "4 / 6"
    assert figures["public classes with an example"] == "1 of 2"
    assert figures["lines: package / tests / tools"] == "62 / 2 / 0"
