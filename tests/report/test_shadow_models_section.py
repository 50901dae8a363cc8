"""The page of an audit with shadow models, its tables parsed as by a browser."""

import re
from collections import defaultdict
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from lightning_mia.evaluation.scores import FAMILIES
from lightning_mia.report.content.groups import attack_groups, control_groups
from lightning_mia.report.content.numbers import decimal, interval, with_zeros
from lightning_mia.report.figures.drawn_groups import NO_FIGURES, DrawnGroup, draw_attacks, draw_controls
from lightning_mia.report.figures.shadow_models import draw_by_shadows
from lightning_mia.report.html import render_page


class Tables(HTMLParser):
    """Rows by the h2 and h3 that they stand under: row header to {label of the cell: text}."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: dict[tuple[str, str], dict[str, dict[str, str]]] = defaultdict(dict)
        self.titles = {"h2": "", "h3": ""}
        self.name, self.cell, self.label = "", "", ""
        self.cells: dict[str, str] = {}
        self.within: list[str] = []
        self.first_screen = html.split("<h2", 1)[0]
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag in self.titles:
            self.titles[tag] = ""
            if tag == "h2":
                self.titles["h3"] = ""
            self.within.append(tag)
        elif tag == "tr":
            self.name, self.cells = "", {}
        elif tag == "br":
            self.cell += " "
        elif tag in ("td", "th"):
            self.cell, self.label = "", attributes.get("data-label", "") or attributes.get("scope", "")

    def handle_data(self, data):
        if self.within:
            self.titles[self.within[-1]] += data
        self.cell += data

    def handle_endtag(self, tag):
        if tag in self.titles:
            self.within.pop()
        elif tag == "th" and self.label == "row":
            self.name = " ".join(self.cell.split())
        elif tag == "td" and self.label:
            self.cells[self.label] = " ".join(self.cell.split())
        elif tag == "tr" and self.name:
            rows = self.rows[self.titles["h2"].strip(), self._place()]
            rows[self.name] = {**self.cells, **rows.get(self.name, {})}  # the first table counts

    def _place(self) -> str:
        """The h3 up to the access, without the verdict behind it."""
        heading = self.titles["h3"]
        for access in ("black-box", "open-weights", "grey-box"):
            if access in heading:
                return heading[: heading.index(access)] + access
        return heading


def undrawn(report) -> str:
    """The page without the costly figures."""
    attacks = [DrawnGroup(group, NO_FIGURES, by_shadows=draw_by_shadows(group)) for group in attack_groups(report)]
    return render_page(report, attacks, [DrawnGroup(group, NO_FIGURES) for group in control_groups(report)])


@pytest.fixture(scope="module")
def html(planted_fleet_report) -> str:
    return undrawn(planted_fleet_report)


@pytest.fixture(scope="module")
def tables(html) -> Tables:
    return Tables(html)


def test_every_access_has_a_table_with_the_strongest_attack_first(tables, planted_fleet_report):
    for group in attack_groups(planted_fleet_report):
        rows = tables.rows["Attack results", f"Utterance level, {group.access}"]
        assert list(rows) == [one.name for one in group.results]


def test_rows_have_figures_shadow_models_and_queries(tables, planted_fleet_report):
    attack = next(one for one in planted_fleet_report.attacks if one.name == "lira")
    row = tables.rows["Attack results", "Utterance level, grey-box"]["lira"]
    assert row["AUROC"] == f"{decimal(attack.auroc)} {interval(attack.auroc_ci95)}"
    assert row["corrected p"].startswith("0.009")
    assert row["TPR at FPR 1 %"] == "1.5 %† 1 to 2.5 %"
    assert row["realised FPR"] == "0.9 %"
    assert row["shadow models as targets"] == f"{decimal(attack.in_turn.auroc_mean)} ± 0.012"
    assert row["advantage"] == f"{attack.advantage:.2f} (0.06)"
    assert row["shadow models, queries"] == "16 24"
    without = tables.rows["Attack results", "Utterance level, grey-box"]["pretext_loss"]
    assert without["shadow models, queries"] == "0 8"


def test_the_first_screen_has_the_best_attack_of_each_access(tables, planted_fleet_report):
    verdicts = sorted(planted_fleet_report.verdict.by_level_and_access, key=lambda one: FAMILIES.index(one.family))
    best = tables.rows["", ""]
    assert list(best) == [f"Utterance, {verdict.access}" for verdict in verdicts]
    assert best["Utterance, grey-box"]["Strongest attack"] == "shadow_classifier of 9"
    black_box = best["Utterance, black-box"]
    assert black_box["Verdict"] == "No evidence of a leak"
    assert black_box["smallest detectable AUROC"] == "0.57"
    for verdict in verdicts:
        assert with_zeros(verdict.reason) in tables.first_screen


def test_without_evidence_the_detectable_auroc_is_given(html):
    assert "This design detects an AUROC of 0.57 with 80 % power; the strongest attack has 0.44." in html


def test_shadow_models_as_targets_have_a_table_for_each_access(tables, planted_fleet_report):
    for group in attack_groups(planted_fleet_report):
        rows = tables.rows["Shadow models as targets", f"Utterance level, {group.access}"]
        assert list(rows) == [one.name for one in group.results]
        for one in group.results:
            row = rows[one.name]
            assert row["this target"] == decimal(one.auroc)
            assert row["as targets"] == f"{decimal(one.in_turn.auroc_mean)} ± 0.012"
            assert row["as wrong models"] == "0.501 ± 0.021"
            assert (row["TPR, as targets"], row["models"]) == ("1.4 %", "16")


def test_results_by_number_of_shadow_models_are_a_table(tables, planted_fleet_report):
    rows = tables.rows["Number of shadow models", "Utterance level, grey-box"]
    assert "pretext_loss" not in rows
    attack = next(one for one in planted_fleet_report.attacks if one.name == "bavaria")
    assert list(rows["bavaria"]) == [f"{n} shadow models" for n in (2, 4, 8, 16)]
    for one, text in zip(attack.with_fewer, rows["bavaria"].values(), strict=True):
        assert text == f"{decimal(one.auroc)} {interval(one.auroc_ci95, 2)} TPR 1.5 %† 1 to 2.5 %"


def test_shadow_models_are_described_with_pool_and_training(html, planted_fleet_report):
    assert "an auditor's upper bound" in html.replace("&#39;", "'")
    assert "loss 2.910 to 3.400" in html
    assert "1 of the shadow models collapsed" in html
    outside = replace(planted_fleet_report, fleet=replace(planted_fleet_report.fleet, pool="auxiliary", n_collapsed=0))
    html = undrawn(outside).replace("&#39;", "'")
    assert "what an outsider can do" in html
    assert "auditor's upper bound" not in html
    assert "collapsed" not in html


def test_the_target_s_last_values_are_next_to_those_of_the_shadow_models(planted_fleet_report):
    target, *others = planted_fleet_report.provenance.models
    models = (replace(target, health={"loss": (4.5, 3.28)}), *others)
    provenance = replace(planted_fleet_report.provenance, models=models)
    assert "loss 2.910 to 3.400 (target 3.280)" in undrawn(replace(planted_fleet_report, provenance=provenance))


def test_dataset_inference_has_one_p_value_and_the_members_needed(tables, planted_fleet_report):
    rows = tables.rows["Dataset inference", ""]
    lira = next(one for one in planted_fleet_report.dataset_inference if one.attack == "lira")
    assert len(rows) == len(planted_fleet_report.dataset_inference)
    assert rows["lira"] == {
        "p of the set": "0.001",
        "p by t-test": "0.010",
        "difference": f"+{lira.difference:.2f}",
        "members needed": "45",
    }
    assert rows["partcrop"]["members needed"] == "more than tested"


def test_many_controls_are_folded_but_complete(html, tables, planted_fleet_report):
    assert "Controls of the other attacks (54)" in html
    assert set(tables.rows["Controls", ""]) == {one.name for one in planted_fleet_report.controls}


def test_every_section_of_the_navigation_exists(html):
    links = re.findall(r'<a href="#(\w+)"', html.split("<nav", 1)[1].split("</nav>")[0])
    assert links == [
        "advice",
        "data_protection",
        "attacks",
        "shadow_models",
        "each_as_target",
        "n_shadow_models",
        "dataset_inference",
        "controls",
        "training",
        "excluded",
        "protocol",
        "reproduce",
        "attack_lines",
        "glossary",
    ]
    assert all(html.count(f' id="{link}"') == 1 for link in links)


def test_every_attack_is_explained_in_one_line_and_linked_to_it(html, planted_fleet_report):
    lines = dict(re.findall(r'<div id="(about-\w+)"><dt>.*?</dt><dd>(.*?)</dd>', html))
    links = re.findall(r'<a href="#(about-\w+)" title="[^"]+">(.*?)</a>', html)
    assert {name.replace("<wbr>", "") for _, name in links} == {one.name for one in planted_fleet_report.attacks}
    assert {anchor for anchor, _ in links} == set(lines)
    assert lines["about-lira"].endswith("<code>lira.md</code>")


def test_five_attacks_are_open_and_the_weaker_ones_folded(html, planted_fleet_report):
    section = html.split('<h2 id="attacks">')[1].split("</section>")[0]
    open_rows = [re.sub(r"<details>.*?</details>", "", part, flags=re.DOTALL) for part in section.split("<h3>")[1:]]
    assert [part.count('<th scope="row">') for part in open_rows] == [5, 4, 5]
    assert [part.count('<th scope="row">') for part in section.split("<h3>")[1:]] == [17 * 2, 4 * 2, 9 * 2]
    assert "<summary>12 weaker attacks</summary>" in section


def test_all_tables_have_the_same_order_of_families(html):
    order = re.findall(r"<tr><th scope=\"row\">Utterance, ([\w-]+)</th>", html)
    assert order == ["black-box", "open-weights", "grey-box"]
    for heading in ("attacks", "each_as_target", "n_shadow_models"):
        section = html.split(f'<h2 id="{heading}">')[1].split("</section>")[0]
        assert re.findall(r"<h3>Utterance level, ([\w-]+)", section) == order
    section = html.split('<h2 id="dataset_inference">')[1].split("</section>")[0]
    assert re.findall(r"<b>Utterance level, ([\w-]+)</b>", section) == order


def test_two_sided_attacks_are_named_in_words(html):
    assert "²" not in html.split("<script>")[0]
    assert html.count('<small class="side">two-sided</small>') > 10


def test_without_shadow_models_their_sections_are_missing(planted_report):
    html = undrawn(planted_report)
    for words in (
        "as target</h2>",
        "Number of shadow models",
        "Shadow models</h2>",
        "Dataset inference",
        ">shadow models<",
    ):
        assert words not in html


def test_many_notes_are_folded(planted_fleet_report):
    notes = tuple(f"The attack number {n} was left out." for n in range(5))
    html = undrawn(replace(planted_fleet_report, notes=notes))
    assert "<summary>2 more notes</summary>" in html
    assert all(note in html for note in notes)


@pytest.mark.slow
def test_figures_have_accessible_names_and_those_of_weaker_attacks_are_folded(planted_fleet_report):
    """Of six attacks, the weakest is not featured."""
    kept = ("lira", "lira_offline", "rmia", "bavaria", "shadow_classifier", "attack_r", "blind")
    report = replace(
        planted_fleet_report,
        attacks=tuple(one for one in planted_fleet_report.attacks if one.name in kept),
        controls=planted_fleet_report.controls[:1],
        scores=tuple(one for one in planted_fleet_report.scores if one.name in kept),
    )
    html = render_page(report, draw_attacks(report), draw_controls(report))
    head, folded = html.split("ROC curves and scores of the other attacks (1)</summary>")
    assert 'aria-label="Histogram of the scores of shadow_classifier' in head
    assert 'aria-label="Histogram of the scores of attack_r' not in head
    assert 'aria-label="Histogram of the scores of attack_r' in folded.split("</details>")[0]
    assert 'aria-label="AUROC by number of shadow models, utterance level, grey-box: shadow_classifier' in folded
    assert html.count("<svg viewBox") == html.count('role="img" aria-label="')
    assert html.count("<svg ") == html.count('role="img" aria-label="') + html.count('aria-hidden="true"')
