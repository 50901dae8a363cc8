import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from lightning_mia.evaluation.results import Verdict
from lightning_mia.report.content.finding import finding
from lightning_mia.report.content.numbers import with_zeros
from lightning_mia.report.figures.drawn_groups import draw_attacks, draw_controls
from lightning_mia.report.html import render_page

VOID = {"meta", "link", "br", "wbr", "hr", "img", "input"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that tags close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script", "title"):
            self.text += data


def render(report, names=None) -> str:
    return render_page(report, draw_attacks(report), draw_controls(report), names)


@pytest.fixture(scope="module")
def html(planted_report):
    return render(planted_report)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


@pytest.fixture(scope="module")
def blind_page(planted_blind_report):
    return Page(render(planted_blind_report))


@pytest.mark.slow
def test_it_is_self_contained(html, page):
    assert "http:" not in html
    assert "https:" not in html
    assert not {"img", "iframe", "object", "embed"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith(("#", "data:"))
    assert "@import" not in html
    assert not re.findall(r"url\((?!#)", html)
    assert len(html.encode()) < 1_000_000


def test_it_is_well_formed_and_no_id_occurs_twice(page):
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 20


def test_the_verdict_comes_first_with_reason_and_numbers(page, planted_report):
    order = [
        page.text.index(part)
        for part in (
            "Leak",
            finding(planted_report)[0],
            with_zeros(planted_report.verdict.reason),
            f"{planted_report.attacks[2].auroc:.2f}",
            "Attack results",
            "Controls",
        )
    ]
    assert order == sorted(order)


def test_every_result_is_shown_with_its_figures(page, planted_report):
    for result in (*planted_report.attacks, *planted_report.controls):
        assert result.name in page.text
        assert f"{result.auroc_ci95[0]:.3f} to {result.auroc_ci95[1]:.3f}".replace("-", "−") in page.text
    assert "0.65 (0.06)" in " ".join(page.text.split()), "an advantage is shown with its null mean"
    assert page.text.count("†") > 3, "rates that cannot be resolved are marked"


def test_figures_are_labelled(page, planted_report):
    labels = [attributes["aria-label"] for tag, attributes in page.elements if tag == "svg" and "role" in attributes]
    n_results = len(planted_report.attacks) + len(planted_report.controls)
    assert len([label for label in labels if label.startswith("Histogram of the scores of ")]) == n_results
    assert len([label for label in labels if label.startswith("ROC curves on log–log axes: ")]) == 6


def test_provenance_and_settings_are_shown(page, planted_report):
    for part in (
        planted_report.provenance.command,
        planted_report.config_yaml.strip(),
        planted_report.notes[0],
        "auxiliary recordings",
        "126\u2009340 parameters",
        "1 recording could not be used",
        "12" * 32,
    ):
        assert part in page.text


def test_text_of_users_is_escaped(planted_report):
    nasty = '<script>alert("x")</script>&amp;'
    report = replace(
        planted_report,
        attacks=(replace(planted_report.attacks[2], name=nasty),),
        controls=(),
        scores=(replace(planted_report.scores[2], name=nasty),),
        skipped=(replace(planted_report.skipped[0], id=nasty, path=nasty, reason=nasty),),
        config_yaml=nasty,
        notes=(nasty,),
        provenance=replace(planted_report.provenance, command=nasty, versions={nasty: [nasty]}),
    )
    page = Page(render(report, names={}))
    assert [tag for tag, _ in page.elements].count("script") == 1, "the script that sorts tables"
    assert page.text.count(nasty) >= 8


def test_a_blind_check_mentions_no_attacks(blind_page):
    assert "Not assessable" in blind_page.text
    assert "blind check of a split" in blind_page.text
    assert "Attack results" not in blind_page.text
    assert "details" not in {tag for tag, _ in blind_page.elements}
    assert blind_page.open == []


def test_a_blind_check_that_passes_is_assessable(planted_blind_report):
    report = replace(planted_blind_report, verdict=Verdict("no_evidence", "The sides look alike.", ()))
    text = Page(render(report)).text
    assert "Assessable" in text
    assert "No evidence of a leak" not in text


def test_figures_that_are_not_finite_are_dashes(planted_report):
    attack = replace(
        planted_report.attacks[2],
        auroc_ci95=(None, None),
        p_value_corrected=None,
        versus_wrong_model=None,
        auroc_blind_adjusted=None,
        smallest_detectable_auroc=None,
        tpr_at_fpr=(),
    )
    report = replace(planted_report, attacks=(attack,), controls=(), scores=(planted_report.scores[2],), timings={})
    text = Page(render(report)).text
    assert "–" in text
    assert "None" not in text.replace("None: a control", "")
    assert "nan" not in text


def test_an_interval_of_which_nothing_is_known_is_called_so(planted_report):
    attack = planted_report.attacks[2]
    rates = tuple(replace(rate, tpr_ci95=(0.0, 1.0)) for rate in attack.tpr_at_fpr)
    margin = replace(attack.versus_wrong_model, lower95=-1.0)
    attack = replace(attack, auroc_ci95=(0.0, 1.0), tpr_at_fpr=rates, versus_wrong_model=margin)
    report = replace(planted_report, attacks=(attack,), controls=(), scores=(planted_report.scores[2],))
    html = render(report)
    assert Page(html).text.count("no interval") >= 3
    for absent in ("0.000 to 1.000", "0 to 100 %", "−1.000", "M0.0 7H120.0"):
        assert absent not in html
