import contextlib
import logging
import os
import re
import shutil
import zlib
from pathlib import Path

import pytest

from lightning_mia.report import templates
from lightning_mia.report.pdf import BROWSERS, write_pdf
from lightning_mia.report.settings import ReportSettings
from lightning_mia.report.write import write_report
from lightning_mia.utilities.errors import InputError

STYLE = Path(templates.__file__).with_name("style.css")


@pytest.fixture
def only_browser(tmp_path, monkeypatch):
    """Put one program in place of all browsers."""

    def install(script: str) -> None:
        program = tmp_path / "bin" / "chromium"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/usr/bin:/bin")

    return install


def test_without_a_browser_the_option_is_refused_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"needs Chromium or Chrome, but none of chromium, .* is on PATH") as raised:
        ReportSettings(pdf=True)
    assert "\n" not in str(raised.value)
    assert ReportSettings().pdf is False


def test_a_browser_that_fails_costs_the_pdf_only(tmp_path, only_browser, planted_blind_report, caplog):
    only_browser("exit 7")
    with caplog.at_level(logging.WARNING):
        page = write_report(tmp_path / "report", planted_blind_report, pdf=True)
    assert page.is_file()
    assert not (tmp_path / "report" / "report.pdf").exists()
    assert "it ended with status 7" in caplog.text
    assert "can be printed from any browser" in caplog.text


def test_a_browser_that_prints_nothing_is_reported(tmp_path, only_browser, caplog):
    only_browser("exit 0")
    (tmp_path / "page.html").write_text("<p>page", encoding="utf-8")
    assert write_pdf(tmp_path / "page.html", tmp_path / "page.pdf") is None
    assert "it wrote nothing" in caplog.text


def test_the_page_is_printed_without_a_header_that_has_its_path(tmp_path, only_browser):
    only_browser(
        'for argument in "$@"; do case "$argument" in --print-to-pdf=*) echo "%PDF $*" > "${argument#*=}";; esac; done'
    )
    (tmp_path / "page.html").write_text("<p>page", encoding="utf-8")
    pdf = write_pdf(tmp_path / "page.html", tmp_path / "page.pdf")
    arguments = pdf.read_text(encoding="utf-8")
    assert "--no-pdf-header-footer" in arguments
    assert (tmp_path / "page.html").as_uri() in arguments


def text_operators(pdf: bytes) -> int:
    """Count the operators that show text."""
    count = 0
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        with contextlib.suppress(zlib.error):
            count += len(re.findall(rb"T[jJ]", zlib.decompress(stream)))
    return count


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no browser")
def test_pages_are_numbered(tmp_path):
    """An empty page has its number, and nothing else."""
    (rule,) = re.findall(r"@page \{.*\}\n", STYLE.read_text(encoding="utf-8"))
    for name, style, n_texts in (("plain", "", 0), ("numbered", rule, 1)):
        page = tmp_path / f"{name}.html"
        page.write_text(f"<!DOCTYPE html><style>{style}</style><body></body>", encoding="utf-8")
        printed = write_pdf(page, tmp_path / f"{name}.pdf").read_bytes()
        assert (text_operators(printed) > 0) == n_texts


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no browser")
def test_a_report_is_printed(tmp_path, small_report):
    page = write_report(tmp_path / "report", small_report, pdf=True)
    printed = page.with_suffix(".pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 3
    assert b"file://" not in printed
