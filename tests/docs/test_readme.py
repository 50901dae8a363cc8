"""README agrees with the results page and links to existing files."""

import re
from collections.abc import Callable
from types import ModuleType

from tests.docs.conftest import DOCS, ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_figures_agree_with_the_results_page(tool: Callable[[str], ModuleType]) -> None:
    rows = tool("result_rows")
    (shown,) = rows.tables(TEXT)
    known = rows.tables((DOCS / "results.md").read_text(encoding="utf-8"))[0]
    assert shown.heading == known.heading
    assert shown.rows
    assert all(row in known.rows for row in shown.rows)


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\((docs/[^)#]+)", TEXT)
    assert len(links) > 8
    assert all((ROOT / link).is_file() for link in links)
