"""Rows of the results page."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

PAGE = """
| model, access | attack | none |
|---|---|---|
| TERA, grey-box | `lira` | 0.9 |
| | `rmia` | 0.8 |

| access | attack | in turn |
|---|---|---|
| black-box | `slmia` | 0.6 |
|  | `rmia` | 0.7 |

| command | attack |
|---|---|
| another table | `lira` |
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "results.md").write_text(PAGE, encoding="utf-8")
    return tmp_path / "results.md"


def test_rows_are_collected_from_every_table(tool: Callable[[str], ModuleType], page: Path) -> None:
    text = tool("result_rows").rows(page, ["rmia"], "results.md")
    assert "| model, access | attack | none |\n| --- | --- | --- |\n| TERA, grey-box | `rmia` | 0.8 |\n\n" in text
    assert "| black-box | `rmia` | 0.7 |" in text
    assert "lira" not in text


def test_attack_without_a_row_is_rejected(tool: Callable[[str], ModuleType], page: Path) -> None:
    with pytest.raises(ValueError, match="no row of attack_r"):
        tool("result_rows").rows(page, ["lira", "attack_r"], "results.md")
