"""MkDocs hooks: MathML formulas, generated pages, generated blocks.

A comment on a separate line marks where a generated block goes:

    <!-- attacks: LiRA, SpeakerLiRA -->    table, source and options of these classes
    <!-- attacks: all -->                  table of all attacks
    <!-- signals -->                       signals that likelihood attacks can use
    <!-- results: rmia, rmia_offline -->   rows of these attacks in results.md
    <!-- utterance_results: rmia -->       the same, utterance level only
    <!-- fields: package.module.Class, x -->   fields of a dataclass, except x
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import api_reference
import attack_facts
import cli_reference
import field_tables
import notebooks
import result_rows
from mkdocs.structure.files import File, Files

GUIDES = (
    "index.md",
    "tutorial.md",
    "first_hour.md",
    "concepts.md",
    "recipes.md",
    "elsewhere.md",
    "corpora.md",
    "models.md",
)
MARKER = re.compile(r"^<!-- (attacks|signals|results|utterance_results|fields)(?:: (.*?))? -->$", re.MULTILINE)


def mathml(source: str, *_: object, **__: object) -> str:
    """Convert LaTeX to MathML, which needs no script or font."""
    from latex2mathml.converter import convert

    lines = [convert(line, display="block") for line in source.strip().splitlines()]
    return f'<div class="formula">{"".join(lines)}</div>'


def on_config(config: Any) -> Any:
    """Register `math` fences, as on GitHub, and the generated pages."""
    reference = next(section["Reference"] for section in config["nav"] if "Reference" in section)
    reference.append({"API": "reference/api/public.md"})
    reference.append({"Internals": [{folder: f"reference/api/{folder}.md"} for folder in api_reference.folders()]})
    fences = config["mdx_configs"].setdefault("pymdownx.superfences", {}).setdefault("custom_fences", [])
    fences.append({"name": "math", "class": "math", "format": mathml})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    pages = {cli_reference.PAGE: cli_reference.page()}
    pages |= {f"notebooks/{path.stem}.md": notebooks.page(path) for path in notebooks.paths()}
    pages["reference/api/public.md"] = api_reference.public_page()
    pages |= {f"reference/api/{folder}.md": api_reference.page(folder) for folder in api_reference.folders()}
    for uri, text in pages.items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_context(context: Any, page: Any, **_: object) -> Any:
    """Link no generated page to a source that does not exist."""
    if page.file.generated_by:
        page.edit_url = None
    return context


def on_page_markdown(markdown: str, page: Any, config: Any, **_: object) -> str:
    """Fill in the generated blocks of a page, and let guides come before internals in the search."""
    page.meta.setdefault("search", {}).setdefault("boost", _boost(page.file.src_uri))
    return fill_in(markdown, Path(config["docs_dir"]), "../" * page.file.src_uri.count("/"))


def _boost(uri: str) -> float:
    """Weigh a page in the search: guides before results, internals last."""
    if uri.startswith("reference/api/"):
        return 1.0 if uri.endswith("public.md") else 0.2
    return 4.0 if uri in GUIDES else 2.0


def fill_in(markdown: str, docs: Path, root: str) -> str:
    """Replace the markers of a page by generated blocks.

    Args:
        markdown: text of the page.
        docs: folder of all pages.
        root: relative path from the page to that folder, such as "../".
    """
    results, link = docs / "results.md", f"{root}results.md"
    blocks: dict[str, Callable[[list[str]], str]] = {
        "attacks": lambda names: attack_facts.overview(root) if names == ["all"] else attack_facts.facts(names, root),
        "signals": lambda names: attack_facts.signals(),
        "fields": lambda names: field_tables.field_table(*names),
        "results": lambda names: result_rows.rows(results, names, link),
        "utterance_results": lambda names: result_rows.rows(results, names, link, result_rows.FIRST[:1]),
    }
    return MARKER.sub(lambda match: blocks[match[1]]([name.strip() for name in (match[2] or "").split(",")]), markdown)
