"""Tests of where rebuildable files are kept."""

from pathlib import Path

from lightning_mia.utilities.files import cache_root


def test_environment_names_the_folder(monkeypatch):
    monkeypatch.setenv("LIGHTNING_MIA_CACHE", "~/elsewhere")
    assert cache_root() == Path.home() / "elsewhere"
    monkeypatch.delenv("LIGHTNING_MIA_CACHE")
    assert cache_root() == Path.home() / ".cache" / "lightning_mia"
