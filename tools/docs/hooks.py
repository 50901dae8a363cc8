"""MkDocs hooks: formulas as MathML, pages generated from the code, and tables from the code and the results page.

A comment on a separate line marks where a table is inserted:

    <!-- attacks: LiRA, SpeakerLiRA -->    names, access, shadow models, queries and options of these classes
    <!-- attacks: all -->                  the same table for all of them, without the options
    <!-- signals -->                       the signals that likelihood attacks can read
    <!-- results: rmia, rmia_offline -->   the rows of these attacks from results.md
    <!-- utterance_results: rmia -->       the same at utterance level alone
    <!-- fields: package.module.Class, x -->   the fields of a dataclass, except x
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import api_reference
import attack_facts
import cli_reference
import field_tables
import result_rows
from mkdocs.structure.files import File, Files

MARKER = re.compile(r"^<!-- (attacks|signals|results|utterance_results|fields)(?:: (.*?))? -->$", re.MULTILINE)


def mathml(source: str, *_: object, **__: object) -> str:
    """A fenced block of LaTeX as MathML, which browsers show without scripts or external fonts."""
    from latex2mathml.converter import convert

    lines = [convert(line, display="block") for line in source.strip().splitlines()]
    return f'<div class="formula">{"".join(lines)}</div>'


def on_config(config: Any) -> Any:
    """Render fences of the language `math` as formulas, as on GitHub; add the API pages to the navigation."""
    reference = next(section["Reference"] for section in config["nav"] if "Reference" in section)
    reference.append({"API": "reference/api/public.md"})
    reference.append({"Internals": [{folder: f"reference/api/{folder}.md"} for folder in api_reference.folders()]})
    fences = config["mdx_configs"].setdefault("pymdownx.superfences", {}).setdefault("custom_fences", [])
    fences.append({"name": "math", "class": "math", "format": mathml})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages generated from the code."""
    pages = {cli_reference.PAGE: cli_reference.page()}
    pages["reference/api/public.md"] = api_reference.public_page()
    pages |= {f"reference/api/{folder}.md": api_reference.page(folder) for folder in api_reference.folders()}
    for uri, text in pages.items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: object) -> str:
    """Insert the tables."""
    return fill_in(markdown, Path(config["docs_dir"]), "../" * page.file.src_uri.count("/"))


def fill_in(markdown: str, docs: Path, root: str) -> str:
    """Replace every marker of a page.

    Args:
        markdown: the page.
        docs: the folder of all pages.
        root: relative path from the page to that folder, such as "../".
    """
    results, link = docs / "results.md", f"{root}results.md"
    blocks: dict[str, Callable[[list[str]], str]] = {
        "attacks": lambda names: (
            attack_facts.table_of_all(root) if names == ["all"] else attack_facts.facts(names, root)
        ),
        "signals": lambda names: attack_facts.signals(),
        "fields": lambda names: field_tables.field_table(*names),
        "results": lambda names: result_rows.rows(results, names, link),
        "utterance_results": lambda names: result_rows.rows(results, names, link, result_rows.FIRST[:1]),
    }
    return MARKER.sub(lambda found: blocks[found[1]]([name.strip() for name in (found[2] or "").split(",")]), markdown)
