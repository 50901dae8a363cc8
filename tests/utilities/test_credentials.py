"""Users, passwords and signatures in URLs are neither shown nor written."""

import json
from pathlib import Path

import pytest

from lightning_mia.utilities.credentials import without_credentials
from lightning_mia.utilities.stage import Stage


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://key:secret@bucket/runs", "s3://bucket/runs"),
        ("s3://key:sec/ret+@bucket/runs", "s3://bucket/runs"),
        ("https://user@host/x", "https://host/x"),
        ("https://host/x?X-Signature=secret&b=c", "https://host/x?…"),
        ("http://127.0.0.1:8080/x@2", "http://127.0.0.1:8080/x@2"),
        ("git+https://host/a/b@v1", "git+https://host/a/b@v1"),
        ("memory://R", "memory://R"),
        ("mail@example.org", "mail@example.org"),
    ],
)
def test_credentials_are_stripped_from_urls(url: str, shown: str) -> None:
    assert without_credentials(f"--results_url '{url}' --run_dir r") == f"--results_url '{shown}' --run_dir r"


def test_a_stage_does_not_store_credentials(tmp_path: Path) -> None:
    settings = {"model": {"targets_from": "https://user:secret@host/x?token=secret"}, "sizes": [1, 2]}
    Stage(tmp_path, settings).begin().finish({"steps": 3})
    assert "secret" not in (tmp_path / "stage.json").read_text()
    assert Stage(tmp_path, settings).begin().done
    assert json.loads((tmp_path / "stage.json").read_text())["settings"]["sizes"] == [1, 2]
