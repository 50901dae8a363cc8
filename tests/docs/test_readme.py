"""README: figures agree with the results page, links exist."""

import re
from collections.abc import Callable
from types import ModuleType

from tests.docs.conftest import DOCS, ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_figures_agree_with_the_results_page(tool: Callable[[str], ModuleType]) -> None:
    rows = tool("result_rows")
    (table,) = rows.tables(TEXT)
    complete = rows.tables((DOCS / "results.md").read_text(encoding="utf-8"))[0]
    assert table.heading == complete.heading
    assert table.rows
    assert all(row in complete.rows for row in table.rows)


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\((docs/[^)#]+)", TEXT)
    assert len(links) > 8
    assert all((ROOT / link).is_file() for link in links)
