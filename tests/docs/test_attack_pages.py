"""Attack pages are complete and agree with the code."""

import re
from collections.abc import Callable
from types import ModuleType

import pytest

from lightning_mia.attacks import default_attacks
from tests.docs.conftest import DOCS, pages

Tool = Callable[[str], ModuleType]
MARKER = re.compile(r"^<!-- attacks: (.*) -->$", re.MULTILINE)


@pytest.fixture(scope="module")
def facts(tool: Tool) -> ModuleType:
    return tool("attack_facts")


def documented_classes() -> dict[str, str]:
    """Class → page with its block of facts."""
    result = {}
    for path in (DOCS / "attacks").glob("*.md"):
        for names in MARKER.findall(path.read_text(encoding="utf-8")):
            result |= {name.strip(): path.stem for name in names.split(",") if name != "all"}
    return result


def test_every_attack_has_a_page(facts: ModuleType) -> None:
    names = {type(attack).__name__ for attack in default_attacks(16, "all")} | set(facts.classes())
    assert documented_classes() == {name: facts.PAGES.get(name, "no page") for name in names}


def test_table_agrees_with_the_code(facts: ModuleType) -> None:
    table = facts.overview("../")
    for attack in default_attacks(16, "all"):
        row = next(line for line in table.splitlines() if f"`{attack.name}`" in line)
        shadows = f"{attack.min_shadows} or more" if attack.min_shadows else "none"
        assert f"| {attack.access} | {', '.join(attack.levels)} | {shadows} |" in row


def test_options_are_described(facts: ModuleType) -> None:
    text = facts.facts(["RMIA"], "../")
    assert "| `gamma` | `2.0` |" in text
    assert "| `a` | null |" in text
    assert all("| `" not in line or not line.endswith("|  |") for line in text.splitlines())  # no empty meaning


def test_every_signal_has_a_name_and_a_description(facts: ModuleType) -> None:
    text = facts.signals()
    for cls in facts.signal_classes():
        assert f"### {cls.__name__}\n\n" in text
    assert "**Class** `SurrogateHeadScore`" in text


def test_queries_agree_with_results_json(facts: ModuleType) -> None:
    by_name = {attack.name: facts.queries(attack) for attack in default_attacks(16, "all")}
    assert (by_name["pretext_loss"], by_name["utterance_similarity"], by_name["surrogate_head"]) == ("16", "1", "7")


def test_markers_are_replaced(tool: Tool) -> None:
    pytest.importorskip("mkdocs")
    for name in ("api_reference", "attack_facts", "cli_reference", "field_tables", "notebooks", "result_rows"):
        tool(name)
    hooks = tool("hooks")
    for path in pages():
        text = path.read_text(encoding="utf-8")
        filled = hooks.fill_in(text, DOCS, "")
        assert not hooks.MARKER.search(filled)
        others = text.count("<!-- benchmarks: ")  # markers of `tools/benchmark --docs`
        assert text.count("<!-- ") == len(hooks.MARKER.findall(text)) + others  # any other comment is a misspelt marker


def test_formulas_become_mathml(tool: Tool) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("latex2mathml")
    assert "<msubsup>" in tool("hooks").mathml(r"\sigma_{\text{in}}^2")


def test_field_table_describes_every_field(tool: Tool) -> None:
    tables = tool("field_tables")
    text = tables.field_table("lightning_mia.report.audit_report.AuditReport", "scores")
    assert "| `verdict` | over all levels and accesses. |" in text
    assert "`scores`" not in text


def test_doctests_are_fenced(tool: Tool) -> None:
    pytest.importorskip("griffe")
    text = "First line.\n\n>>> f(1)\n[[1]]\n>>> f(2)\n2\n\nArgs:\n    x: >>> is no doctest here.\n"
    fenced = tool("griffe_doctests").fence_doctests(text)
    assert "```pycon\n>>> f(1)\n[[1]]\n>>> f(2)\n2\n```\n" in fenced
    assert fenced.endswith("Args:\n    x: >>> is no doctest here.\n")
