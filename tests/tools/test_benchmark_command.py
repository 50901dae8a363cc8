"""Command line of the benchmarks."""

import re
from pathlib import Path

import pytest

from tests.docs.conftest import DOCS
from tools.benchmark.command import main
from tools.benchmark.docs_table import BEGIN, END, rewrite
from tools.benchmark.suite import known_measures


def test_list_shows_every_measure_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(known_measures())
    assert all(line.endswith(".") for line in lines)


def test_unknown_measure_is_reported_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["similarty", "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "similarty" in line
    assert "choose from bf16, " in line
    assert not (tmp_path / "out").exists()


def test_output_path_that_is_a_file_is_reported_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    assert main(["similarity", "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is a file" in line


def test_unreadable_results_are_reported_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"measures": {"a": {"rows": 3}}}')
    for name, message in (("absent.json", "Cannot read"), ("broken.json", "holds no benchmark results")):
        assert main(["--docs", str(tmp_path / name)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line


def test_page_names_every_measure(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text((DOCS / "benchmarks.md").read_text(encoding="utf-8"), encoding="utf-8")
    names = re.findall(r"`python tools/benchmark (\w+)`", page.read_text(encoding="utf-8"))
    assert set(names) == set(known_measures())
    rewrite(page, [])
    assert f"{BEGIN}\n| command |" in page.read_text(encoding="utf-8")
    assert page.read_text(encoding="utf-8").count(END) == 1
