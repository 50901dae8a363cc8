"""Results of finished runs in docs/benchmarks.md."""

from pathlib import Path

import pytest

from lightning_mia.utilities.errors import InputError
from tools.benchmark import results
from tools.benchmark.docs_table import BEGIN, END, rewrite
from tools.benchmark.results import Result
from tools.benchmark.rows import Curve, Point, Row, faster, relative

PAGE = f"# Title\n\nbefore\n\n{BEGIN}\n| old | table |\n{END}\n\nafter\n"


def run(folder: Path, name: str, *rows: Row, quick: bool = False) -> Path:
    results.write(folder, {name: Result("done", quick, "a machine", 1.0, rows=list(rows))})
    return folder / results.FILE


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "benchmarks.md"
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_only_the_table_between_markers_changes(page: Path, tmp_path: Path) -> None:
    rows = (
        faster("sum", 2.0, "loop", 38.0, unit="ms", device="CPU"),
        relative("step", 1.02, "bare", 1.0, device="CPU", note="a|b"),
    )
    for _ in range(2):  # the second time on its own output
        rewrite(page, [run(tmp_path / "cpu", "speed", *rows)])
        text = page.read_text(encoding="utf-8")
        assert text.split(BEGIN)[0] == PAGE.split(BEGIN)[0]
        assert text.split(END)[1] == PAGE.split(END)[1]
        *_, first, second = text.split(BEGIN)[1].split(END)[0].strip("\n").splitlines()
        assert first == "| `python tools/benchmark speed` | sum | CPU | 2 ms | loop: 38 | 19× |  |"
        assert second == "|  | step | CPU | 1.02 s | bare: 1 | 1.02 | a\\|b |"


def test_runs_of_two_machines_are_merged(page: Path, tmp_path: Path) -> None:
    cpu = run(tmp_path / "cpu", "speed", Row("sum", 1.0, "s", "CPU"))
    gpu = run(tmp_path / "gpu", "speed", Row("sum", 9.0, "s", "CPU"), Row("sum", 0.5, "s", "GPU"))
    rewrite(page, [cpu, gpu])
    text = page.read_text(encoding="utf-8")
    assert "| sum | CPU | 1 s |" in text
    assert "| sum | GPU | 0.5 s |" in text
    assert "9 s" not in text
    assert text.count("python tools/benchmark speed") == 1


def test_quick_results_are_rejected(page: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="quick measures \\(speed\\)"):
        rewrite(page, [run(tmp_path / "run", "speed", Row("sum", 1.0, "s", "CPU"), quick=True)])
    assert page.read_text(encoding="utf-8") == PAGE


def test_curve_is_one_row(page: Path, tmp_path: Path) -> None:
    rows = [Row(f"{x}", 2 * x, "s", "CPU", point=Point("time", "ours", x)) for x in (1, 1000)]
    result = Result("done", False, "a machine", 1.0, rows=rows, curves=[Curve("time", "models", "seconds")])
    results.write(tmp_path / "run", {"fleet": result})
    rewrite(page, [tmp_path / "run" / results.FILE])
    line = "| `python tools/benchmark fleet` | ours: seconds by models | CPU | 1: 2, 1,000: 2,000 |  |  |  |"
    assert page.read_text(encoding="utf-8").split(END)[0].splitlines()[-1] == line


@pytest.mark.parametrize("text", ["no markers\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"])
def test_page_without_markers_is_rejected(text: str, tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="needs the lines"):
        rewrite(path, [])
    assert path.read_text(encoding="utf-8") == text
