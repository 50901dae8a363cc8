"""Blocks of docs/verdicts.md: commands and printed verdicts."""

import re
import shlex


def block(name: str, command: list[str], verdict: str) -> str:
    """Format command and verdict as a fenced block, titled by the scenario."""
    return f'```text title="scenario {name}"\n$ {shlex.join(command)}\n\n{verdict}\n```'


def replace_block(page: str, name: str, text: str) -> str:
    """Replace a scenario's block.

    Raises:
        ValueError: the page has no such block, or several.
    """
    titled = re.compile(rf'^```text title="scenario {re.escape(name)}"\n.*?^```', re.MULTILINE | re.DOTALL)
    page, n = titled.subn(lambda _: text, page)
    if n != 1:
        raise ValueError(f"{n} blocks of scenario {name}, expected 1")
    return page
