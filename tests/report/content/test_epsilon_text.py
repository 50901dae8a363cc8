"""The section on lower bounds on ε, in every file of a report."""

import json
from dataclasses import replace

import jsonschema
import pytest

from lightning_mia.evaluation.privacy import EpsilonBound
from lightning_mia.report import write_report
from lightning_mia.report.content.epsilon_text import EpsilonRow, epsilon_note, epsilon_rows
from lightning_mia.report.files.json_schema import SCHEMA_PATH
from lightning_mia.report.files.results_json import read_results
from lightning_mia.report.markdown import render_markdown
from lightning_mia.utilities.errors import InputError

LIRA = EpsilonBound("lira", "utterance", "grey-box", "one_run", 1e-5, 1.999, 1.648, 1000, 124, 110)
LOSS = EpsilonBound("pretext_loss", "utterance", "grey-box", "one_run", 1e-5, 0.0, 0.0, 1000, 936, 470)
RATES = EpsilonBound("lira", "speaker", "grey-box", "rates", 1e-5, 1.2, 0.9, 60)


def test_rows_are_rounded_down_with_the_largest_bound_first() -> None:
    assert epsilon_rows([LOSS, LIRA]) == (
        EpsilonRow("lira", "grey-box", "1.64", "1.99", "110 of 124"),
        EpsilonRow("pretext_loss", "grey-box", "0.00", "0.00", "470 of 936"),
    )
    assert epsilon_rows([RATES])[0].guesses == "–"


def test_the_note_says_on_what_the_bounds_rest() -> None:
    assert epsilon_note([]) == ""
    one_run, rates = epsilon_note([LIRA]), epsilon_note([RATES])
    assert "A fair coin decided for each recording" in one_run and "differ in one recording" in one_run
    assert "Approximate" not in one_run
    assert "Approximate, not proven" in rates and "differ in all recordings of one speaker" in rates


@pytest.mark.slow
@pytest.mark.parametrize("bound", [LIRA, RATES])
def test_page_markdown_and_results_have_the_bounds(bound: EpsilonBound, small_report, tmp_path) -> None:
    report = replace(small_report, epsilon_bounds=(bound,))
    page = write_report(tmp_path, report).read_text(encoding="utf-8")
    assert '<h2 id="epsilon">Lower bounds on ε</h2>' in page and 'href="#epsilon"' in page
    assert "Lower bounds on ε" not in render_markdown(small_report)
    assert "## Lower bounds on ε" in render_markdown(report)
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    jsonschema.validate(results, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    assert results["epsilon_bounds"][0]["epsilon_corrected"] == bound.epsilon_corrected
    assert read_results(tmp_path / "results.json", tmp_path / "scores.csv").epsilon_bounds == (bound,)


@pytest.mark.slow
def test_a_bound_edited_later_is_refused(small_report, tmp_path) -> None:
    write_report(tmp_path, replace(small_report, epsilon_bounds=(LIRA,)))
    path = tmp_path / "results.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"epsilon_corrected": 1.648', '"epsilon_corrected": 0.1'))
    with pytest.raises(InputError, match="epsilon_bounds was changed after the audit"):
        read_results(path, tmp_path / "scores.csv")
