"""Blocks of docs/verdicts.md: commands and printed verdicts."""

import re
import shlex


def block(name: str, command: list[str], verdict: str) -> str:
    """Format command and verdict as a marked Markdown block."""
    return f"<!-- scenario {name} -->\n```text\n$ {shlex.join(command)}\n\n{verdict}\n```"


def replace_block(page: str, name: str, text: str) -> str:
    """Replace a scenario's block.

    Raises:
        ValueError: the page has no such block, or several.
    """
    marked = re.compile(rf"<!-- scenario {re.escape(name)} -->\n```text\n.*?^```", re.MULTILINE | re.DOTALL)
    page, n = marked.subn(lambda _: text, page)
    if n != 1:
        raise ValueError(f"{n} blocks of scenario {name}, expected 1")
    return page
