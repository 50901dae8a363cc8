"""Suite: finished measures are skipped, failures are isolated."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.benchmark import results
from tools.benchmark.suite import Suite

WORKING = '''
"""A planted measure."""
from pathlib import Path

from tools.benchmark.rows import Curve, Point, Row

CURVES = [Curve("seconds", "models", "seconds")]


def measure(quick):
    count = Path(__file__).with_suffix(".count")
    n = int(count.read_text()) + 1 if count.exists() else 1
    count.write_text(str(n))
    yield Row("starts", n, "", "CPU", note="quick" if quick else "full")
    for x in (1.0, 2.5):
        yield Row(f"at {x}", 2 * x, "s", "CPU", point=Point("seconds", "ours", x))
'''
FAILING = '"""A measure that fails."""\ndef measure(quick):\n    raise MemoryError("no room")\n    yield\n'


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], dict[str, str]]:
    """Write a module that the measuring process can import."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(name: str, text: str) -> dict[str, str]:
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        return {name: name}

    return write


def first_rows(folder: Path) -> dict[str, tuple[float | None, str]]:
    return {
        name: (result.rows[0].value, result.rows[0].note)
        for name, result in results.read(folder / results.FILE).items()
    }


@pytest.mark.slow  # starts Python three times
def test_finished_measures_are_skipped(plant: Callable[[str, str], dict[str, str]], tmp_path: Path) -> None:
    measures, out = plant("planted", WORKING), tmp_path / "out"
    assert Suite(out, quick=True).run(measures) == 0
    assert Suite(out, quick=True).run(measures) == 0
    assert first_rows(out) == {"planted": (1, "quick")}
    assert Suite(out, quick=False).run(measures) == 0  # a quick result does not replace a full one
    assert first_rows(out) == {"planted": (2, "full")}
    assert Suite(out, quick=False).run(measures, again=True) == 0
    assert first_rows(out) == {"planted": (3, "full")}
    assert (out / "planted_seconds.png").stat().st_size > 1000
    with (out / "benchmarks.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [(line["what"], line["line"], line["x"]) for line in lines] == [
        ("starts", "", ""),
        ("at 1.0", "ours", "1.0"),
        ("at 2.5", "ours", "2.5"),
    ]


def test_failed_measure_is_listed_and_repeated(
    plant: Callable[[str, str], dict[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    measures = {**plant("failing", FAILING), **plant("planted", WORKING)}
    assert Suite(out, quick=True).run(measures) == 1
    printed = capsys.readouterr().out
    assert "failing: FAILED" in printed
    assert "MemoryError: no room" in printed
    assert "Failed: failing;" in printed
    stored = results.read(out / results.FILE)
    assert [(name, result.status) for name, result in stored.items()] == [("failing", "failed"), ("planted", "done")]
    assert "`failing` failed: MemoryError: no room" in (out / "benchmarks.md").read_text(encoding="utf-8")

    plant("failing", WORKING)
    assert Suite(out, quick=True).run(measures) == 0
    assert first_rows(out) == {"failing": (1, "quick"), "planted": (1, "quick")}


def test_results_of_another_machine_are_repeated(plant: Callable[[str, str], dict[str, str]], tmp_path: Path) -> None:
    measures, out = plant("planted", WORKING), tmp_path / "out"
    Suite(out, quick=True).run(measures)
    stored = json.loads((out / results.FILE).read_text(encoding="utf-8"))
    stored["measures"]["planted"]["machine"] = "another"
    (out / results.FILE).write_text(json.dumps(stored), encoding="utf-8")
    Suite(out, quick=True).run(measures)
    assert first_rows(out) == {"planted": (2, "quick")}
