import subprocess
import sys

import pytest

from lightning_mia.audit.breakdown import add_breakdown
from lightning_mia.report import load_report, rebuild, write_report
from lightning_mia.utilities.errors import InputError

HANDED_ON = {"report.html", "report.md", "results.json"}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, small_report):
    run_dir = tmp_path_factory.mktemp("run")
    page = write_report(run_dir / "report", add_breakdown(small_report))
    assert page == run_dir / "report" / "report.html"
    return run_dir


def test_a_report_has_these_files(run_dir):
    names = sorted(path.name for path in (run_dir / "report").iterdir())
    assert names == [
        *("private.json", "report.html", "report.md", "results.json", "scores.csv", "speakers.csv", "tensorboard"),
    ]


def test_the_footer_names_every_file_that_has_to_stay(run_dir):
    text = (run_dir / "report" / "report.html").read_text(encoding="utf-8")
    keep = text.split("Keep private")[1].split("</footer>")[0]
    private = {path.name for path in (run_dir / "report").iterdir()} - {"tensorboard", *HANDED_ON}
    assert private == {"private.json", "scores.csv", "speakers.csv"}
    for name in {*private, "report_names.html", "units.csv", "split.csv"}:
        assert f"<code>{name}</code>" in keep
    for name in HANDED_ON:
        assert f"<code>{name}</code>" not in keep


def test_the_rebuilt_page_is_identical(run_dir):
    page = run_dir / "report" / "report.html"
    first = page.read_bytes()
    page.unlink()
    assert rebuild(run_dir) == page
    assert page.read_bytes() == first


def test_rebuilding_does_not_touch_the_data(run_dir):
    files = [run_dir / "report" / name for name in ("results.json", "scores.csv")]
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    rebuild(run_dir)
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in files] == before


def test_reading_and_writing_gives_identical_files(run_dir, tmp_path):
    write_report(tmp_path, load_report(run_dir / "report"))
    for name in ("results.json", "scores.csv", "report.html", "report.md", "speakers.csv"):
        assert (tmp_path / name).read_bytes() == (run_dir / "report" / name).read_bytes()


@pytest.mark.slow
def test_a_copy_with_names_has_files_of_its_own(tmp_path, small_report):
    write_report(tmp_path / "report", add_breakdown(small_report))
    without_names = (tmp_path / "report" / "report.html").read_bytes()
    assert rebuild(tmp_path, with_names=True) == tmp_path / "report" / "report_names.html"
    assert (tmp_path / "report" / "report.html").read_bytes() == without_names
    for name, shown in (("report", False), ("report_names", True)):
        for suffix in ("html", "md"):
            text = (tmp_path / "report" / f"{name}.{suffix}").read_text(encoding="utf-8")
            assert ("Zoë" in text) == shown


def test_a_blind_check_is_written_and_rebuilt(tmp_path, planted_blind_report):
    page = write_report(tmp_path / "report", planted_blind_report)
    first = page.read_bytes()
    assert rebuild(tmp_path).read_bytes() == first


def test_a_folder_without_a_report_is_rejected_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"has no report/results\.json; give the run directory") as raised:
        rebuild(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_report_that_cannot_be_written_is_rejected(tmp_path, planted_blind_report):
    (tmp_path / "report").write_text("in the way", encoding="utf-8")
    with pytest.raises(InputError, match="Cannot write"):
        write_report(tmp_path / "report", planted_blind_report)


def test_nothing_heavy_is_imported_before_it_is_needed():
    heavy = "{'torch', 'matplotlib', 'jinja2', 'tensorboard', 'scipy'} & set(sys.modules)"
    code = f"import sys, lightning_mia.report; assert not {heavy}, {heavy}"
    subprocess.run([sys.executable, "-c", code], check=True)
