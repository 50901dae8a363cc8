"""Remove credentials from what is shown or written."""

import re
from typing import Any

USER = re.compile(r"(\b[a-zA-Z][\w+.-]*://)(?:[^\s/'\"]*|[^\s/'\":]*:(?!\d+/)[^\s'\"]*)@")  # a password may contain /
QUERY = re.compile(r"(\b[a-zA-Z][\w+.-]*://[^\s'\"?]*)\?[^\s'\"]*")


def without_credentials(text: str) -> str:
    """Strip user, password and query, which may hold a signature, from all URLs in a text.

    >>> without_credentials("--results_url=s3://key:secret@host/runs?token=abc --run_dir=r")
    '--results_url=s3://host/runs?… --run_dir=r'
    """
    return QUERY.sub(r"\1?…", USER.sub(r"\1", text))


def strip_credentials(value: Any) -> Any:
    """Strip credentials from all texts in a JSON-like value.

    >>> strip_credentials({"data": {"corpus": ["https://user:secret@host/x", 3]}})
    {'data': {'corpus': ['https://host/x', 3]}}
    """
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, dict):
        return {key: strip_credentials(item) for key, item in value.items()}
    return [strip_credentials(item) for item in value] if isinstance(value, list) else value
