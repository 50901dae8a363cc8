"""Jinja templates of the report, its style sheet and script."""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_mia.evaluation.results import has_interval, headline_rate
from lightning_mia.evaluation.settings import ALPHA
from lightning_mia.evaluation.verdict import separates
from lightning_mia.report.content import numbers, wording
from lightning_mia.report.content.attack_lines import line_of
from lightning_mia.report.content.groups import headline_tpr_in_turn
from lightning_mia.report.files.private_json import without_paths

if TYPE_CHECKING:
    from jinja2 import BytecodeCache, Environment
    from jinja2.bccache import Bucket
    from markupsafe import Markup

_FOLDER = Path(__file__).parent


def html_environment() -> "Environment":
    """Return HTML templates; text is escaped."""
    from markupsafe import Markup

    environment = _environment(autoescape=True)
    environment.filters["breakable"] = _breakable
    environment.globals["style"] = Markup((_FOLDER / "style.css").read_text(encoding="utf-8"))
    environment.globals["script"] = Markup((_FOLDER / "sort.js").read_text(encoding="utf-8"))
    return environment


def markdown_environment() -> "Environment":
    """Return Markdown templates; the filter `md` escapes text."""
    environment = _environment(autoescape=False)
    environment.filters["md"] = escape_markdown
    return environment


def escape_markdown(text: str) -> str:
    """Escape Markdown and HTML in text.

    >>> escape_markdown("my_model <b>")
    'my\\\\_model &lt;b>'
    """
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", " ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;")


def _environment(autoescape: bool) -> "Environment":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        bytecode_cache=_bytecode_cache(),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not autoescape,
    )
    for name in (
        "decimal",
        "signed",
        "interval",
        "signed_interval",
        "lower_bound",
        "percent",
        "percent_interval",
        "p_value",
        "count",
        "duration",
        "with_zeros",
    ):
        environment.filters[name] = getattr(numbers, name)
    environment.filters["line_of"] = line_of
    environment.filters["without_paths"] = without_paths
    environment.filters["headline_rate"] = headline_rate
    environment.filters["headline_tpr_in_turn"] = headline_tpr_in_turn
    environment.tests["informative"] = has_interval
    environment.globals.update(wording=wording, sections=wording.SECTIONS, alpha=ALPHA, separates=separates)
    return environment


@cache
def _bytecode_cache() -> "BytecodeCache":
    """Keep compiled templates in memory; compiling is slow."""
    import jinja2

    class InMemory(jinja2.BytecodeCache):
        def __init__(self) -> None:
            self.code: dict[str, bytes] = {}

        def load_bytecode(self, bucket: "Bucket") -> None:
            if bucket.key in self.code:
                bucket.bytecode_from_string(self.code[bucket.key])

        def dump_bytecode(self, bucket: "Bucket") -> None:
            self.code[bucket.key] = bucket.bytecode_to_string()

    return InMemory()


def _breakable(name: str) -> "Markup":
    """Allow line breaks after underscores."""
    from markupsafe import Markup, escape

    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))
