"""The pages in a real browser: errors, layout, links, sorting, dark mode."""

import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from lightning_mia.audit.breakdown import add_breakdown
from lightning_mia.audit.compare import compare_runs
from lightning_mia.report.audit_report import UnitFacts
from lightning_mia.report.comparison.comparison_page import write_comparison
from lightning_mia.report.write import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium; the facts are tested without one in test_page.py"),
]

PROBE = """<script>
addEventListener("load", () => {
  const all = (what) => [...document.querySelectorAll(what)];
  const table = document.querySelector("table.sortable");
  const column = [...table.tHead.rows[0].cells].findIndex((one) => !one.classList.contains("scale") && one.cellIndex);
  const press = () => {
    const button = table.tHead.rows[0].cells[column].querySelector("button");
    button.click();
    return [...table.tBodies[0].rows].map((row) => row.cells[column].textContent.trim());
  };
  const found = {
    width: innerWidth, page: document.documentElement.scrollWidth,
    cut: all(".wide").filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent.slice(0, 80)),
    broken: all("a[href^='#']").filter((one) => !document.querySelector(one.getAttribute("href"))).length,
    links: all("a[href]").length, elsewhere: all("a[href]:not([href^='#'])").length,
    unnamed: all("svg:not([aria-hidden]):not([aria-label]), figure svg:not([role=img])").length,
    ink: getComputedStyle(document.body).color, paper: getComputedStyle(document.body).backgroundColor,
    descending: press(), ascending: press(), sorted: table.tHead.rows[0].cells[column].getAttribute("aria-sort"),
  };
  const out = document.createElement("output");
  out.id = "probe";
  out.textContent = JSON.stringify(found);
  parent.document.body.append(out);
});
</script></body>"""


def browse(*arguments: str) -> subprocess.CompletedProcess[str]:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr", "--v=0"]
    return subprocess.run([str(CHROMIUM), *flags, *arguments], capture_output=True, text=True, check=True, timeout=120)


def look(page, folder, width: int, dark: bool = False) -> dict:
    """Measure a page in a frame of this width, since a window is never narrower than 500."""
    (folder / "probed.html").write_text(page.read_text(encoding="utf-8").replace("</body>", PROBE), encoding="utf-8")
    frame = f'<iframe src="probed.html" style="width: {width}px; height: 800px; border: 0"></iframe>'
    (folder / "frame.html").write_text(f"<!DOCTYPE html><body>{frame}</body>", encoding="utf-8")
    done = browse(
        "--allow-file-access-from-files",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        "--window-size=1400,900",
        "--dump-dom",
        (folder / "frame.html").as_uri(),
    )
    errors = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not errors, errors
    return json.loads(re.search(r'<output id="probe">(.*?)</output>', done.stdout, re.DOTALL)[1].replace("&amp;", "&"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory, small_fleet_report):
    folder = tmp_path_factory.mktemp("browser")
    scores = small_fleet_report.scores[0]
    units = tuple(
        UnitFacts("utterance", unit, 0.5 + number % 9 / 10, float(-20 - number % 7), ("female", "male")[number % 3 % 2])
        for number, unit in enumerate(scores.unit_ids.tolist())
    )
    write_report(folder / "one" / "report", add_breakdown(replace(small_fleet_report, units=units)))
    shutil.copytree(folder / "one", folder / "two")
    compare = write_comparison(folder, compare_runs([folder / "one", folder / "two"]))
    return {"report": folder / "one" / "report" / "report.html", "compare": compare}


def test_script_errors_are_detected(pages, tmp_path):
    page = tmp_path / "page.html"
    whole = pages["compare"].read_text(encoding="utf-8")
    page.write_text(whole.replace("<main>", "<main><script>nonsense()</script>", 1), encoding="utf-8")
    with pytest.raises(AssertionError, match="nonsense is not defined"):
        look(page, tmp_path, 1280)


@pytest.mark.parametrize("which", ["report", "compare"])
@pytest.mark.parametrize("width", [1280, 375])
def test_nothing_is_cut_off_and_links_resolve(pages, tmp_path, which, width):
    found = look(pages[which], tmp_path, width)
    assert found["width"] == width
    assert found["page"] <= width, "the page itself does not scroll sideways"
    assert found["cut"] == []
    assert (found["broken"], found["elsewhere"], found["unnamed"]) == (0, 0, 0)
    assert found["links"] > 5 or which == "compare"


def test_tables_sort_and_announce_the_order(pages, tmp_path):
    page = tmp_path / "page.html"
    numbers = ["0.50", "−0.20 x", "1.2 × 10⁻⁷", "–", "12", "1\u2009000"]
    rows = "".join(f"<tr><th>a</th><td>{number}</td></tr>" for number in numbers)
    whole = pages["report"].read_text(encoding="utf-8")
    table = f"<table class=sortable><thead><tr><th>n</th><th>x</th></tr></thead><tbody>{rows}</tbody></table>"
    page.write_text(whole.replace("<main>", f"<main>{table}", 1), encoding="utf-8")
    found = look(page, tmp_path, 1280)
    assert found["descending"] == ["1\u2009000", "12", "0.50", "1.2 × 10⁻⁷", "−0.20 x", "–"]
    assert found["ascending"] == ["−0.20 x", "1.2 × 10⁻⁷", "0.50", "12", "1\u2009000", "–"]
    assert found["sorted"] == "ascending"


def test_there_is_a_light_and_a_dark_mode(pages, tmp_path):
    def brightness(colour: str) -> int:
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    light, dark = (look(pages["report"], tmp_path, 1280, dark) for dark in (False, True))
    assert brightness(light["paper"]) > 700 > brightness(light["ink"]) + 300
    assert brightness(dark["paper"]) < 120 < brightness(dark["ink"]) - 300
    pictures = []
    for scheme in (0, 1):
        picture = tmp_path / f"{scheme}.png"
        browse(
            f"--blink-settings=preferredColorScheme={scheme}",
            "--window-size=1280,900",
            f"--screenshot={picture}",
            pages["report"].as_uri(),
        )
        pictures.append(picture.read_bytes())
    assert pictures[0] != pictures[1]
    assert min(map(len, pictures)) > 50_000


def test_the_page_prints(pages, tmp_path):
    pdf = tmp_path / "report.pdf"
    browse("--no-pdf-header-footer", f"--print-to-pdf={pdf}", pages["report"].as_uri())
    assert pdf.read_bytes().startswith(b"%PDF")
    assert pdf.stat().st_size > 30_000
