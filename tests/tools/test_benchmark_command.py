import re
from pathlib import Path

import pytest

from tests.docs.conftest import DOCS
from tools.benchmark.command import main
from tools.benchmark.docs_table import BEGIN, END, rewrite
from tools.benchmark.suite import known_measures


def test_list_names_every_measure_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(known_measures())
    assert all(line.endswith(".") for line in lines)


def test_an_unknown_measure_is_told_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["similarty", "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "similarty" in line
    assert "choose from bf16, " in line
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_one_is_told_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    assert main(["similarity", "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is a file" in line


def test_results_that_cannot_be_read_are_told_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"measures": {"a": {"rows": 3}}}')
    for name, told in (("absent.json", "Cannot read"), ("broken.json", "holds no results")):
        assert main(["--docs", str(tmp_path / name)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line


def test_the_page_names_measures_that_there_are(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text((DOCS / "benchmarks.md").read_text(encoding="utf-8"), encoding="utf-8")
    named = re.findall(r"`python tools/benchmark (\w+)`", page.read_text(encoding="utf-8"))
    assert set(named) == set(known_measures())
    rewrite(page, [])
    assert f"{BEGIN}\n| command |" in page.read_text(encoding="utf-8")
    assert page.read_text(encoding="utf-8").count(END) == 1
