import logging
import os
import shutil

import pytest

from lightning_mia.report.pdf import BROWSERS, write_pdf
from lightning_mia.report.settings import ReportSettings
from lightning_mia.report.write import write_report
from lightning_mia.utilities.errors import InputError


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


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no browser")
def test_the_pdf_has_numbered_pages(tmp_path, planted_report):
    page = write_report(tmp_path / "report", planted_report, pdf=True)
    content = page.with_suffix(".pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") > 3 or content.count(b"/Page") > 3
